package gateway

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/streams"
)

// retain publishes a message twice: to where its topic's last one is kept, then
// to its subject. It is stored when both are.
func (c *client) retain(m Message, out *nats.Msg) error {
	both := &pair{left: 2, done: func(err error) { c.stored(1, m.Confirm, m.Tag, err) }}
	if err := c.node.pub.publish(streams.RetainedMsg(out), m.Confirm, both.one); err != nil {
		return err
	}
	if err := c.node.pub.publish(out, m.Confirm, both.one); err != nil {
		both.one(err) // the first one's outcome is still to come
	}
	return nil
}

// deliverRetained hands the retained messages under a new subscription to the
// connection, as many as a device may have waiting. What is published meanwhile
// comes by the subscription itself.
func (c *client) deliverRetained(ctx context.Context, sub *subscription) {
	maxCount, maxBytes := c.inst.conf.MaxPending, int(c.inst.conf.MaxPendingSize)
	kept, cut, err := c.node.retained(ctx, sub.subjects, maxCount, maxBytes)
	if err != nil {
		c.node.Log.Warn("retained messages not read", "client", c.key, "filter", sub.Filter, "error", err)
	}
	id := sub.ID
	if sub.Main {
		id = api.MainQueue
	}
	for _, in := range kept {
		e := Event{Kind: Delivered, Delivery: Delivery{Sub: id, Topic: c.unmount(in), Msg: in, Attempt: 1, done: c.plainDone}}
		if !c.inbox.offer(e, maxCount, maxBytes) {
			cut = true
			break
		}
	}
	if cut {
		c.event(api.EventDropped, func(e *api.Event) { e.Topic, e.Reason = sub.Filter, "too_many_retained" })
	}
}

// pair is two publishes whose outcome is told as one.
type pair struct {
	mu   sync.Mutex
	left int
	err  error
	done func(error)
}

func (p *pair) one(err error) {
	p.mu.Lock()
	if p.err == nil {
		p.err = err
	}
	p.left--
	last := p.left == 0
	p.mu.Unlock()
	if last {
		p.done(p.err)
	}
}
