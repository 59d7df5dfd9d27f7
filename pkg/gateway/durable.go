package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/pkg/subject"
	"sluice/streams"
)

// durableSub is a durable subscription while its client is connected here. The
// session service owns the queue; this side hands messages to the connection
// and answers for the device.
type durableSub struct {
	c    *client
	id   string
	req  api.SubscribeRequest // that made it, for resume
	talk sync.Mutex           // held while the session service is asked about it

	mu     sync.Mutex
	flying map[uint64]string // queue sequence -> where the answer goes
	last   uint64            // the highest queue sequence taken
	closed bool
}

func (c *client) subscribeDurable(ctx context.Context, sub *subscription) error {
	req := api.SubscribeRequest{
		ClientKey: c.info.ClientKey, ID: sub.ID, Subjects: sub.subjects,
		Node: c.node.ID, Epoch: c.info.Epoch, Window: sub.Window,
	}
	c.mu.Lock()
	sub.durable = &durableSub{c: c, id: sub.ID, req: req, flying: map[uint64]string{}}
	c.mu.Unlock()
	return c.askSession(ctx, "subscribe", req)
}

// endDurable stops delivery here, or with forget ends the subscription.
func (c *client) endDurable(ctx context.Context, id string, forget bool) error {
	return c.askSession(ctx, "unsubscribe", api.UnsubscribeRequest{ClientKey: c.info.ClientKey, ID: id, Epoch: c.info.Epoch, Forget: forget})
}

// askSession repeats while the service is away: another instance of it takes
// over within seconds.
func (c *client) askSession(ctx context.Context, verb string, req any) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	for {
		_, err := natsx.Call[any, struct{}](ctx, c.node.NC, streams.ServiceSubject("session", verb), req)
		if err == nil || api.KindOf(err) != api.Unavailable {
			return err
		}
		select {
		case <-ctx.Done():
			return api.Wrap(api.Unavailable, verb, "the session service does not answer, try later", err)
		case <-time.After(retryPause):
		}
	}
}

// detachAll tells the session service that the client is gone. The notice may
// be lost: then the service learns it by the answer to its next delivery.
func (c *client) detachAll(subs map[string]*subscription) {
	for _, s := range subs {
		if s.durable != nil {
			req, err := json.Marshal(api.UnsubscribeRequest{ClientKey: c.info.ClientKey, Epoch: c.info.Epoch})
			if err == nil {
				err = c.node.NC.Publish(streams.ServiceSubject("session", "unsubscribe"), req)
			}
			if err != nil {
				c.node.Log.Debug("the session service was not told that a client is gone", "client", c.key, "error", err)
			}
			return
		}
	}
}

// onDeliver takes a message of the session service: gw.edge.<node>.dn.<client>.
func (n *Node) onDeliver(key string, m *nats.Msg) {
	c := n.find(key)
	epoch, _ := strconv.ParseUint(m.Header.Get(streams.HdrEpoch), 10, 64)
	seq, _ := strconv.ParseUint(m.Header.Get(streams.HdrSeq), 10, 64)
	attempt, _ := strconv.Atoi(m.Header.Get(streams.HdrAttempt))
	prev, _ := strconv.ParseUint(m.Header.Get(streams.HdrPrev), 10, 64)
	id, err := subject.Untoken(m.Header.Get(streams.HdrSub))
	if c == nil || err != nil || c.info.Epoch != epoch {
		n.answer(m.Reply, api.DeliverGone)
		return
	}
	if refusal := c.take(id, seq, prev, attempt, m); refusal != "" {
		n.answer(m.Reply, refusal)
	}
}

func (n *Node) answer(reply, what string) {
	if err := n.NC.Publish(reply, []byte(what)); err != nil {
		n.Log.Debug("delivery answer not sent", "error", err) // the owner asks again
	}
}

// take hands a message to the connection, or says why not. The same message
// again, from an owner that has heard nothing, only renews where the answer
// goes. A message behind one that was lost on the way is refused: the device
// gets them in order.
func (c *client) take(id string, seq, prev uint64, attempt int, m *nats.Msg) (refusal string) {
	var d *durableSub
	c.mu.Lock()
	if sub := c.subs[id]; sub != nil {
		d = sub.durable
	}
	c.mu.Unlock()
	if d == nil {
		return api.DeliverGone
	}
	d.mu.Lock()
	_, again := d.flying[seq]
	switch {
	case d.closed:
		refusal = api.DeliverGone
	case prev > d.last:
		refusal = api.DeliverGap + " " + strconv.FormatUint(d.last, 10)
	default:
		if seq <= d.last { // the device had it, whatever a new owner of the queue knows
			attempt = max(attempt, 2)
		}
		d.flying[seq] = m.Reply
		d.last = max(d.last, seq)
	}
	d.mu.Unlock()
	if again || refusal != "" {
		return refusal
	}
	in := newInbound(m.Header.Get(streams.HdrSubject), m.Header, m.Data)
	del := Delivery{Sub: id, Topic: c.unmount(in), Msg: in, Seq: seq, Attempt: attempt, done: func(err error) { d.done(seq, err) }}
	if !c.inbox.push(Event{Kind: Delivered, Delivery: del}) {
		d.done(seq, ErrClosed)
	}
	return ""
}

func (d *durableSub) done(seq uint64, err error) {
	d.mu.Lock()
	reply, ok := d.flying[seq]
	delete(d.flying, seq)
	closed := d.closed
	d.mu.Unlock()
	if !ok || closed {
		return
	}
	d.c.countDelivery(err)
	switch {
	case err == nil:
		d.c.node.answer(reply, api.DeliverAck)
	case errors.Is(err, ErrNack):
		d.c.node.answer(reply, api.DeliverNak)
	default:
		d.c.node.answer(reply, api.DeliverGone)
	}
}

// close leaves what flies to the session service: it delivers it again when the
// client is back.
func (d *durableSub) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
}
