package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/streams"
)

// durableSub is one queue of the session service while its client is connected
// here: that of a durable subscription, or the main queue of a session. This
// side hands messages to the connection and answers for the device.
type durableSub struct {
	c    *client
	id   string
	ask  func(ctx context.Context) error // has delivery begin, again for resume
	talk sync.Mutex                      // held while the session service is asked about it

	mu     sync.Mutex
	flying map[uint64]string // queue sequence -> where the answer goes
	last   uint64            // the highest queue sequence taken
	closed bool
}

// addQueue makes a queue known to deliveries.
func (c *client) addQueue(id string, ask func(context.Context) error) *durableSub {
	d := &durableSub{c: c, id: id, ask: ask, flying: map[uint64]string{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queues == nil {
		c.queues = map[string]*durableSub{}
	}
	c.queues[id] = d
	return d
}

// dropQueue takes a queue back from which nothing is wanted any more.
func (c *client) dropQueue(d *durableSub) {
	c.mu.Lock()
	if c.queues[d.id] == d {
		delete(c.queues, d.id)
		if len(c.queues) == 0 {
			c.queues = nil // an idle client keeps no empty map
		}
	}
	c.mu.Unlock()
	d.close()
}

func (c *client) subscribeDurable(ctx context.Context, sub *subscription) error {
	req := api.SubscribeRequest{
		ClientKey: c.info.ClientKey, ID: sub.ID, Subjects: sub.subjects,
		Node: c.node.ID, Epoch: c.info.Epoch, Window: sub.Window, Retx: c.retx(),
		Expiry: c.inst.conf.SessionExpiry,
	}
	if sub.Main {
		req.ID, req.Filter, req.QoS = api.MainQueue, sub.Filter, sub.QoS
	}
	ask := func(ctx context.Context) error {
		_, err := askSession[struct{}](ctx, c, "subscribe", req)
		return err
	}
	c.mu.Lock()
	d := c.queues[req.ID]
	c.mu.Unlock()
	if d == nil {
		d = c.addQueue(req.ID, ask)
	}
	c.mu.Lock()
	sub.durable = d
	c.mu.Unlock()
	return ask(ctx)
}

// endDurable stops delivery here, or with forget ends the subscription. Of a
// main queue it ends one filter.
func (c *client) endDurable(ctx context.Context, sub *subscription, forget bool) error {
	req := api.UnsubscribeRequest{ClientKey: c.info.ClientKey, ID: sub.ID, Epoch: c.info.Epoch, Forget: forget}
	if sub.Main {
		req.ID, req.Filter, req.Forget = api.MainQueue, sub.Filter, true
	}
	_, err := askSession[struct{}](ctx, c, "unsubscribe", req)
	return err
}

// detachAll tells the session service that the client is gone, and what it
// leaves. The notice may be lost: then the service learns it by the answer to
// its next delivery, or from the end of this node.
func (c *client) detachAll(goodbye bool) {
	if c.asleep.Load() {
		return
	}
	c.mu.Lock()
	state := c.leave
	c.mu.Unlock()
	c.noticeSession("unsubscribe", api.UnsubscribeRequest{
		ClientKey: c.info.ClientKey, Epoch: c.info.Epoch, Forget: c.sessions && c.info.CleanStart && (goodbye || !c.woken),
		Leave: api.Leave{State: state, Expiry: c.inst.conf.SessionExpiry},
	})
}

// noticeSession asks without waiting for an answer.
func (c *client) noticeSession(verb string, req any) {
	data, err := json.Marshal(req)
	if err == nil {
		err = c.node.NC.Publish(streams.SessionSubject(verb, c.info.ClientKey), data)
	}
	if err != nil {
		c.node.Log.Debug("the session service was not told", "verb", verb, "client", c.key, "error", err)
	}
}

// onDeliver takes a message of the session service: gw.edge.<node>.dn.<client>.
func (n *Node) onDeliver(key string, m *nats.Msg) {
	c := n.find(key)
	epoch, _ := strconv.ParseUint(m.Header.Get(streams.HdrEpoch), 10, 64)
	id, err := subject.Untoken(m.Header.Get(streams.HdrSub))
	if c == nil || err != nil || c.info.Epoch != epoch {
		n.answer(m.Reply, api.DeliverGone)
		return
	}
	if m.Header.Get(streams.HdrDrained) != "" {
		c.inbox.push(Event{Kind: Drained})
		return
	}
	seq, _ := strconv.ParseUint(m.Header.Get(streams.HdrSeq), 10, 64)
	attempt, _ := strconv.Atoi(m.Header.Get(streams.HdrAttempt))
	prev, _ := strconv.ParseUint(m.Header.Get(streams.HdrPrev), 10, 64)
	if refusal := c.take(id, seq, prev, attempt, m); refusal != "" {
		n.answer(m.Reply, refusal)
	}
}

func (n *Node) answer(reply, what string) {
	if reply == "" {
		return
	}
	if err := n.NC.Publish(reply, []byte(what)); err != nil {
		n.Log.Debug("delivery answer not sent", "error", err) // the owner asks again
	}
}

// take hands a message to the connection, or says why not. The same message
// again, from an owner that has heard nothing, renews where the answer goes;
// edges with sessions send it to the device once more. A message behind one that
// was lost on the way is refused: the device gets them in order.
func (c *client) take(id string, seq, prev uint64, attempt int, m *nats.Msg) (refusal string) {
	c.mu.Lock()
	d := c.queues[id]
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
	switch {
	case refusal != "":
	case again && c.sessions:
		c.inbox.push(Event{Kind: Resend, Delivery: Delivery{Sub: id, Seq: seq, Attempt: attempt}})
	case !again:
		c.receive(d, seq, attempt, m)
	}
	return refusal
}

func (c *client) receive(d *durableSub, seq uint64, attempt int, m *nats.Msg) {
	subj := m.Header.Get(streams.HdrSubject)
	in := newInbound(subj, m.Header, m.Data)
	del := Delivery{Sub: d.id, Topic: c.unmount(in), Msg: in, Seq: seq, Attempt: attempt, done: func(err error) { d.done(seq, err) }}
	if !c.inbox.push(Event{Kind: Delivered, Delivery: del}) {
		d.done(seq, ErrClosed)
	}
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
