package session

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/streams"
)

// bury stores a dead letter, then deletes the message. Cut off in between, it is
// done again, and the id keeps the letter single.
func (p *partition) bury(ctx context.Context, s *sub, seq uint64, reason string) error {
	q, err := p.queue.get(ctx, seq)
	if err != nil && !errors.Is(err, errEmpty) {
		return err
	}
	if err == nil && q.subj == s.Name {
		if err := p.publishDead(ctx, s, q, reason); err != nil {
			return err
		}
		p.Metrics.Dead(reason)
		p.event(api.Event{
			ClientKey: s.cl.key(), Event: api.EventDead, Reason: reason, Topic: q.header.Get(streams.HdrSubject),
			Queue: seq, ID: q.header.Get(nats.MsgIdHdr),
		})
	}
	if !p.lease.Valid() {
		return errLeaseOver
	}
	p.commands.forget(seq)
	return p.remove(ctx, s, seq)
}

func (p *partition) publishDead(ctx context.Context, s *sub, q *queued, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	m := nats.NewMsg(streams.DeadSubject(reason, s.cl.name))
	m.Header, m.Data = ownHeader(q.header), q.data
	m.Header.Set(streams.HdrReason, reason)
	m.Header.Set(streams.HdrQueue, s.Name)
	m.Header.Set(nats.MsgIdHdr, "dead."+strconv.FormatUint(q.seq, 10)+"."+s.Name)
	if _, err := p.JS.PublishMsg(ctx, m); err != nil {
		return fmt.Errorf("session: store dead letter: %w", err)
	}
	return nil
}

// tellDrops makes one event of what a queue refused since the last one.
func (p *partition) tellDrops(s *sub) {
	for reason, n := range s.takeDrops() {
		key := s.cl.key()
		p.event(api.Event{ClientKey: key, Event: api.EventDropped, Reason: reason, Count: n})
		p.Metrics.Instance(key.Proto, key.Instance).Messages("out", "dropped", int(min(n, 1<<30)))
	}
}

// expiredCommand tells what became of a command whose time is over: only what
// the queue itself does not have any more, and nobody acknowledged, expired.
func (p *partition) expiredCommand(ctx context.Context, c *command) error {
	if !p.lease.Valid() {
		return nil
	}
	if _, err := p.queue.get(ctx, c.seq); !errors.Is(err, errEmpty) {
		if err == nil { // our clock is ahead of the server's
			p.wheel.Set(&c.clock, c, time.Second)
		}
		return err
	}
	if p.commands.forget(c.seq) {
		p.event(api.Event{ClientKey: c.key(), Event: api.EventExpired, Queue: c.seq, ID: c.id})
	}
	return nil
}
