package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
)

// run is the publisher's clock: it sends again what was held or is overdue, and
// gives up what is too old. It ends with ctx; what is pending then is failed.
func (p *publisher) run(ctx context.Context) {
	tick := time.NewTicker(retryPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			p.close()
			return
		case now := <-tick.C:
			p.expire(now)
			p.resend(now)
			p.metrics.PublishPending(p.pending())
		}
	}
}

// close refuses what comes from now on and fails what is pending.
func (p *publisher) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.expire(time.Now().Add(2 * p.giveUp))
}

// expire fails what waits for longer than a device should.
func (p *publisher) expire(now time.Time) {
	var late []*unacked
	p.mu.Lock()
	for id := p.first; id < p.next; id++ {
		u := p.ring[id%maxUnacked]
		if u == nil {
			continue
		}
		if now.Sub(u.since) < p.giveUp {
			break // numbers are in the order of time
		}
		late = append(late, u)
		p.drop(id)
	}
	p.mu.Unlock()
	for _, u := range late {
		p.metrics.PublishAck(now.Sub(u.since), false)
		if u.done != nil {
			u.done(api.Errorf(api.Unavailable, "publish", "the message could not be stored in time, try later"))
		}
	}
}

// resend goes back to the oldest unacknowledged publish when sending was held
// or an ack is overdue, so that the order stays what the device meant.
func (p *publisher) resend(now time.Time) {
	var lost []*unacked
	p.mu.Lock()
	if p.due(now) && p.nc.Status() == nats.CONNECTED {
		p.holding = false
		p.resent, p.upTo, p.backoff = now, p.next, min(max(2*p.backoff, 1), maxBackoff)
		for id := p.first; id < p.next && !p.holding; id++ {
			u := p.ring[id%maxUnacked]
			switch {
			case u == nil:
			case u.again || u.sent.IsZero():
				if u.tries > 0 {
					p.metrics.Retry()
				}
				p.send(u, now)
			default: // sent once without an id: a repeat could double it
				lost = append(lost, u)
				p.drop(id)
			}
		}
	}
	p.mu.Unlock()
	for _, u := range lost {
		if u.done != nil {
			u.done(api.Errorf(api.Unavailable, "publish", "not acknowledged"))
		}
	}
}

// maxBackoff bounds the pauses between repeats.
const maxBackoff = 8

// due tells whether to send again. A stream that is only slow would drown in
// repeats of what it has not got to yet: as long as a repeat has not been
// worked off the next one waits longer. On a new connection all begins anew.
func (p *publisher) due(now time.Time) bool {
	if p.first >= p.upTo {
		p.backoff = 0
	}
	if p.relinked() {
		p.backoff = 0
		return true
	}
	if p.holding {
		return now.Sub(p.resent) >= p.backoff*retryPause
	}
	u := p.ring[p.first%maxUnacked]
	return p.first < p.next && u != nil && now.Sub(u.sent) > max(p.backoff, 1)*p.ackWait
}

// flush waits until everything is acknowledged or ctx ends.
func (p *publisher) flush(ctx context.Context) error {
	for p.pending() > 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("gateway: %d publishes not acknowledged: %w", p.pending(), context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}
