package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/streams"
)

const reasonNack = "nack"

// bury stores a dead letter, then deletes the message. Cut off in between, it is
// done again, and the id keeps the letter single.
func (t *term) bury(ctx context.Context, s *sub, seq uint64) error {
	q, err := t.queue.get(ctx, seq)
	if err != nil && !errors.Is(err, errEmpty) {
		return err
	}
	if err == nil && q.subj == s.queue {
		if err := t.publishDead(ctx, s, q); err != nil {
			return err
		}
		t.Metrics.Dead(reasonNack)
		t.event(api.Event{ClientKey: s.cl.key, Event: api.EventDead, Reason: reasonNack, Topic: q.header.Get(streams.HdrSubject)})
	}
	if !t.lease.Valid() {
		return errLeaseOver
	}
	return t.remove(ctx, s, seq)
}

func (t *term) publishDead(ctx context.Context, s *sub, q *queued) error {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	m := nats.NewMsg(streams.DeadSubject(reasonNack, s.cl.name))
	m.Header, m.Data = ownHeader(q.header), q.data
	m.Header.Set(streams.HdrReason, reasonNack)
	m.Header.Set(nats.MsgIdHdr, "dead."+strconv.FormatUint(q.seq, 10)+"."+s.queue)
	if _, err := t.JS.PublishMsg(ctx, m); err != nil {
		return fmt.Errorf("session: store dead letter: %w", err)
	}
	return nil
}

// tellDrops makes one event of what a queue refused since the last one.
func (t *term) tellDrops(s *sub) {
	for reason, n := range s.takeDrops() {
		t.event(api.Event{ClientKey: s.cl.key, Event: api.EventDropped, Reason: reason, Count: n})
		t.Metrics.Instance(s.cl.key.Proto, s.cl.key.Instance).Messages("out", "dropped", int(min(n, 1<<30)))
	}
}

// event publishes without waiting: cut off from NATS, events may be lost,
// messages never.
func (t *term) event(e api.Event) {
	e.Node, e.At = t.Node, time.Now().UTC()
	data, err := json.Marshal(e)
	if err == nil {
		err = t.NC.Publish(streams.EventSubject(e.Proto, e.Instance, e.Event, e.Client), data)
	}
	if err != nil {
		t.Log.Debug("event not published", "event", e.Event, "error", err)
	}
}
