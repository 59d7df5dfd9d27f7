package session

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/streams"
)

// tellDropsAfter gathers what a queue refused into one event.
const tellDropsAfter = 250 * time.Millisecond

// arm sets the clock of a session by its state: how long it may sleep, or how
// long it is kept when its client is gone. cl.mu is held.
func (p *partition) arm(cl *client, rec api.Session, now time.Time) {
	var after time.Duration
	switch {
	case cl.state == api.Asleep && rec.For > 0:
		after = rec.For
	case cl.state == api.Offline && rec.Expiry > 0 && cl.rev != 0:
		after = max(rec.Since.Add(rec.Expiry).Sub(now), 0)
	default:
		p.wheel.Stop(&cl.clock)
		return
	}
	p.wheel.Set(&cl.clock, cl, after)
}

// expired is told by the wheel, which it must not hold up.
func (p *partition) expired(cl *client) {
	select {
	case p.overdue <- cl:
	default: // many at once: those that come later have waited long enough to wait a little more
		p.wheel.Set(&cl.clock, cl, hurry)
	}
}

// expire ends sleeps and sessions, one after the other, until ctx ends.
func (s *Service) expire(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case cl := <-s.overdue:
			if err := cl.p.endOne(ctx, cl); err != nil && ctx.Err() == nil {
				s.trouble.report("end a session", err)
				s.wheel.Set(&cl.clock, cl, hurry)
			}
		}
	}
}

// endOne does what is due for one session: a sleeping client is lost, or a session
// whose client is gone ends.
func (p *partition) endOne(ctx context.Context, cl *client) error {
	cl.mu.Lock()
	if cl.dead || !p.lease.Valid() {
		cl.mu.Unlock()
		return nil
	}
	defer p.release(cl)
	if err := p.settle(ctx, cl); err != nil {
		return err
	}
	rec, err := cl.record()
	if err != nil {
		return err
	}
	switch cl.state {
	case api.Asleep:
		return p.lose(ctx, cl, rec)
	case api.Offline:
		if err := p.forget(ctx, cl); err != nil {
			return err
		}
		p.event(api.Event{ClientKey: rec.ClientKey, Event: api.EventEnded, Reason: "session_expired"})
	case api.Connected, api.Awake: // it came back meanwhile
	}
	return nil
}

// lose is the end of a sleep that lasted too long: the will goes out before
// anything forgets that there is one.
func (p *partition) lose(ctx context.Context, cl *client, rec api.Session) error {
	if rec.Will != nil {
		if err := p.publishWill(ctx, cl, rec); err != nil {
			return err
		}
	}
	clean := rec.Clean
	rec.State, rec.Will, rec.For, rec.Clean = api.Offline, nil, 0, false
	var err error
	if clean {
		err = p.forget(ctx, cl)
	} else {
		err = p.save(ctx, cl, rec)
	}
	if err == nil {
		p.event(api.Event{ClientKey: rec.ClientKey, Event: api.EventLost, Reason: "sleep_timeout"})
	}
	return err
}

// publishWill stores the will; its id keeps it single when we are cut off before
// the record says that it is out.
func (p *partition) publishWill(ctx context.Context, cl *client, rec api.Session) error {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	m := nats.NewMsg(rec.Will.Subject)
	m.Data = rec.Will.Payload
	for name, v := range rec.Will.Header {
		m.Header.Set(name, v)
	}
	m.Header.Set(streams.HdrTs, time.Now().UTC().Format("2006-01-02T15:04:05.000Z"))
	m.Header.Set(nats.MsgIdHdr, "will."+cl.name+"."+rec.Since.Format(time.RFC3339Nano))
	if rec.Will.Retain {
		if _, err := p.JS.PublishMsg(ctx, streams.RetainedMsg(m)); err != nil {
			return err
		}
	}
	_, err := p.JS.PublishMsg(ctx, m)
	return err
}
