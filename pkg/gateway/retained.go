package gateway

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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
// connection, as many as a device may have waiting.
func (c *client) deliverRetained(ctx context.Context, sub *subscription) {
	kept, cut, err := c.node.retained(ctx, sub.subjects, c.inst.conf.MaxPending, int(c.inst.conf.MaxPendingSize))
	if err != nil {
		c.node.Log.Warn("retained messages not read", "client", c.key, "filter", sub.Filter, "error", err)
	}
	if cut {
		c.event(api.EventDropped, func(e *api.Event) { e.Topic, e.Reason = sub.Filter, "too_many_retained" })
	}
	id := sub.ID
	if sub.Main {
		id = api.MainQueue
	}
	for _, in := range kept {
		c.inbox.push(Event{Kind: Delivered, Delivery: Delivery{Sub: id, Topic: c.unmount(in), Msg: in, Attempt: 1, done: c.plainDone}})
	}
}

// keeper gathers retained messages, no more than it may.
type keeper struct {
	kept     []*Inbound
	count    int
	bytes    int
	overflow bool
}

func (k *keeper) add(subj string, h nats.Header, data []byte) {
	if len(data) == 0 { // cleared
		return
	}
	if len(k.kept) == k.count || len(data) > k.bytes {
		k.overflow = true
		return
	}
	k.bytes -= len(data)
	in := newInbound(streams.RetainedOf(subj), h, data)
	in.Retain = true
	k.kept = append(k.kept, in)
}

// retained are the retained messages under subject filters, each once. cut tells
// that there are more than may be taken.
func (n *Node) retained(ctx context.Context, filters []string, maxCount, maxBytes int) (kept []*Inbound, cut bool, err error) {
	k := &keeper{count: maxCount, bytes: maxBytes}
	var wild []string
	for _, f := range filters {
		if strings.Contains(f, "*") || strings.HasSuffix(f, ">") {
			wild = append(wild, streams.RetainedSubject(f))
			continue
		}
		m, err := n.retainedStream.GetLastMsgForSubject(ctx, streams.RetainedSubject(f))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return k.kept, k.overflow, err
		}
		k.add(m.Subject, m.Header, m.Data)
	}
	if len(wild) > 0 {
		err = n.retainedUnder(ctx, k, wild)
	}
	return k.kept, k.overflow, err
}

// retainedUnder reads by a consumer that lives as long as this takes.
func (n *Node) retainedUnder(ctx context.Context, k *keeper, filters []string) error {
	cons, err := n.retainedStream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		FilterSubjects: filters, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, InactiveThreshold: retainedTimeout,
	})
	if err != nil {
		return err
	}
	info := cons.CachedInfo()
	defer func() { _ = n.retainedStream.DeleteConsumer(context.WithoutCancel(ctx), info.Name) }() // or it goes by itself
	left := int(min(info.NumPending, uint64(k.count)+1))
	for left > 0 {
		batch, err := cons.Fetch(left, jetstream.FetchMaxWait(retainedTimeout))
		if err != nil {
			return err
		}
		n := 0
		for m := range batch.Messages() {
			k.add(m.Subject(), m.Headers(), m.Data())
			n++
		}
		if left -= n; n == 0 {
			return batch.Error()
		}
	}
	return nil
}

const retainedTimeout = 10 * time.Second

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
