package gateway

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"sluice/pkg/api"
	"sluice/pkg/metrics"
	"sluice/pkg/subject"
)

// client implements [Client]. Fields above mu do not change after Connect.
type client struct {
	node    *Node
	inst    *Instance
	metrics *metrics.Instance
	key     string // ClientKey.String()
	info    api.ClientInfo
	mount   subject.Mount
	acl     acl
	inbox   inbox
	kicked  chan error
	expiry  *time.Timer // credential; nil = none
	held    *holding    // the node's lease when it claimed the client

	inflight atomic.Int64
	recv     atomic.Uint64
	sent     atomic.Uint64
	dropped  atomic.Uint64
	reported atomic.Int64  // unix time of the last dropped event
	told     atomic.Uint64 // dropped, as of that event

	lookup   func(name string) (string, bool) // message protocols: for templates of topics
	sessions bool                             // Hello.Session
	woken    bool                             // Hello.Wake: without a goodbye it sleeps on
	session  Session                          // found at Connect
	asleep   atomic.Bool                      // the session service has taken over

	mu     sync.Mutex
	subs   map[string]*subscription
	queues map[string]*durableSub // of the session service, by id
	leave  []byte                 // for the session, at the end
	closed bool

	lastTopic, lastSubject string // most devices publish on one topic; owner goroutine only
}

// subscription is one of a client's, with what has to be undone at its end.
type subscription struct {
	Subscription
	subjects []string
	target   *target     // plain: in the router
	queue    *puller     // work queue
	durable  *durableSub // kept by the session service; of all Main ones the same
	settled  bool        // Subscribe is over with it; under client.mu
}

func (c *client) Wake() <-chan struct{}    { return c.inbox.wake }
func (c *client) Kicked() <-chan error     { return c.kicked }
func (c *client) Take(buf []Event) []Event { return c.inbox.take(buf) }

func (c *client) Inflight() (n, window int) {
	return int(c.inflight.Load()), c.inst.conf.MaxInflight
}

// kick tells the connection to end; the first reason stands.
func (c *client) kick(why error) {
	select {
	case c.kicked <- why:
	default:
	}
	if c.inbox.notify != nil {
		c.inbox.notify()
	}
}

// deliver offers a message of a plain subscription. A device that does not keep
// up loses it: nothing waits behind one slow reader.
func (c *client) deliver(t *target, in *Inbound) {
	e := Event{Kind: Delivered, Delivery: Delivery{Sub: t.id, Topic: c.unmount(in), Msg: in, Attempt: 1, done: c.plainDone}}
	if c.inbox.offer(e, c.inst.conf.MaxPending, int(c.inst.conf.MaxPendingSize)) {
		return
	}
	c.dropped.Add(1)
	c.metrics.Message("out", "dropped")
	now := time.Now().Unix()
	if last := c.reported.Load(); now != last && c.reported.CompareAndSwap(last, now) {
		n := c.dropped.Load()
		since := n - c.told.Swap(n)
		c.event(api.EventDropped, func(e *api.Event) { e.Topic, e.Reason, e.Count = c.unmount(in), "slow_device", since })
	}
}

// plainDone counts; there is nobody to acknowledge to.
func (c *client) plainDone(err error) { c.countDelivery(err) }

func (c *client) countDelivery(err error) {
	if err == nil {
		c.sent.Add(1)
		c.metrics.Message("out", "ok")
	} else {
		c.metrics.Message("out", "refused")
	}
}

func (c *client) unmount(in *Inbound) string {
	topic := in.topic()
	if p := c.mount.Topic(); len(topic) >= len(p) && topic[:len(p)] == p {
		return topic[len(p):]
	}
	return topic
}

func (c *client) Info() api.ClientInfo {
	info := c.info
	c.mu.Lock()
	for _, s := range c.subs {
		info.Subscriptions = append(info.Subscriptions, api.SubscriptionInfo{ID: s.ID, Topic: s.Filter, QoS: s.QoS, Durable: s.Durable, Queue: s.Queue})
	}
	info.Connected = !c.closed
	c.mu.Unlock()
	info.Stats = api.ClientStats{
		RecvMsg: c.recv.Load(), SendMsg: c.sent.Load(), Dropped: c.dropped.Load(),
		Inflight: int(c.inflight.Load()), Pending: c.inbox.len(), SubscriptionsN: len(info.Subscriptions),
	}
	return info
}

// Close ends the client: first nothing more comes in, then what the device did
// not acknowledge goes back, then the client id is free.
func (c *client) Close(reason error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	subs := c.subs
	c.subs = nil
	queues := maps.Clone(c.queues) // release takes some out
	c.mu.Unlock()
	for _, d := range queues {
		d.close()
	}
	if c.expiry != nil {
		c.expiry.Stop()
	}
	for _, s := range subs {
		if s.settled { // otherwise Subscribe is at work on it, and will see
			c.release(s)
		}
	}
	for _, e := range c.inbox.close() {
		if e.Kind == Delivered {
			e.Delivery.Done(ErrClosed)
		}
	}
	if len(queues) > 0 {
		c.detachAll(reason == nil)
	}
	c.node.disown(c)
	c.metrics.Disconnected(reasonLabel(reason))
	if c.asleep.Load() {
		c.event(api.EventAsleep, nil)
		return
	}
	c.event(api.EventDisconnected, func(e *api.Event) { e.Reason = reasonText(reason) })
}
