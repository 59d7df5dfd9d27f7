package gateway

import (
	"context"

	"sluice/pkg/api"
	"sluice/pkg/subject"
)

// A line of the NATS protocol has 4096 bytes. The server ends a connection that
// sends a longer one, for good, and with it all devices of the node would go.
const (
	maxSubject   = 3 << 10
	maxDurableID = 1 << 10 // as a token, which is a part of its queue's subject
)

// Subscribe implements [Client]. The three ways of a subscription: plain ones
// hang on the node's router, work queues pull from their JetStream consumer,
// durable ones are kept and delivered by the session service.
func (c *client) Subscribe(ctx context.Context, s Subscription) error {
	if s.Window <= 0 || s.Window > 10*c.inst.conf.QueueWindow {
		s.Window = c.inst.conf.QueueWindow
	}
	sub := &subscription{Subscription: s}
	if err := c.resolve(sub); err != nil {
		return err
	}
	if err := c.register(sub); err != nil {
		return err
	}
	var err error
	switch {
	case s.Queue:
		err = c.subscribeQueue(ctx, sub)
	case s.Durable:
		err = c.subscribeDurable(ctx, sub)
	default:
		err = c.subscribePlain(ctx, sub)
	}
	if err == nil && !c.settle(sub) { // closed meanwhile
		err = api.Errorf(api.Unavailable, "subscribe", "%w", ErrClosed)
		c.detachAll(false)
	}
	if err != nil {
		c.abandon(sub)
		return err
	}
	if s.Retained {
		c.deliverRetained(ctx, sub)
	}
	c.event(api.EventSubscribed, func(e *api.Event) { e.Topic = s.Filter })
	return nil
}

// resolve mounts and authorises.
func (c *client) resolve(sub *subscription) (err error) {
	if sub.Queue {
		if _, err = c.queueName(sub.Filter); err != nil {
			return err
		}
		if !c.acl.allows(actionSubscribe, c.queueACL(sub.Filter)) {
			return denied("subscribe to queue", sub.Filter)
		}
		return nil
	}
	if sub.Durable && !sub.Main && len(subject.Token(sub.ID)) > maxDurableID {
		return api.Errorf(api.TooLarge, "subscribe", "subscription id is longer than %d bytes", maxDurableID)
	}
	if sub.subjects, err = c.mount.Subscribe(sub.Filter); err != nil {
		return api.Errorf(api.Invalid, "subscribe", "%w", err)
	}
	if (sub.Filter == "#" || sub.Filter == ">") && len(sub.subjects) > 1 {
		sub.subjects = sub.subjects[:1] // the parent is the mountpoint itself, which is not below it
	}
	for _, s := range sub.subjects {
		if len(s) > maxSubject {
			return api.Errorf(api.TooLarge, "subscribe", "topic filter is longer than %d bytes", maxSubject)
		}
		if !c.acl.allows(actionSubscribe, s) {
			return denied("subscribe to", sub.Filter)
		}
	}
	return nil
}

func (c *client) register(sub *subscription) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return api.Errorf(api.Unavailable, "subscribe", "%w", ErrClosed)
	case c.subs[sub.ID] != nil:
		return api.Errorf(api.Conflict, "subscribe", "subscription id %q is in use", sub.ID)
	case len(c.subs) >= c.inst.conf.MaxSubs:
		return api.Errorf(api.Busy, "subscribe", "more than %d subscriptions", c.inst.conf.MaxSubs)
	}
	c.subs[sub.ID] = sub
	return nil
}

func (c *client) unregister(id string) *subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	sub := c.subs[id]
	delete(c.subs, id)
	return sub
}

// settle ends Subscribe's part: from now on Close and Unsubscribe release the
// subscription. It reports false when they have been faster.
func (c *client) settle(sub *subscription) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.subs[sub.ID] != sub {
		return false // and nothing is written: Close reads it without the lock
	}
	sub.settled = true
	return true
}

// abandon takes a subscription back that did not come about.
func (c *client) abandon(sub *subscription) {
	c.mu.Lock()
	if c.subs[sub.ID] == sub {
		delete(c.subs, sub.ID)
	}
	c.mu.Unlock()
	c.release(sub)
	c.recall(sub.ID)
}

// recall takes what nobody has taken of a subscription that ended out of the
// inbox: after Unsubscribe nothing of it comes.
func (c *client) recall(id string) {
	for _, e := range c.inbox.remove(id) {
		e.Delivery.Done(ErrClosed)
	}
}

// subscribePlain returns after NATS confirmed that it knows the filter: what is
// published from then on, anywhere in the cluster, arrives.
func (c *client) subscribePlain(ctx context.Context, sub *subscription) error {
	sub.target = &target{client: c, id: sub.ID}
	var fresh []*route
	for _, filter := range sub.subjects {
		rt, err := c.node.router.add(filter, sub.target)
		if err != nil {
			return api.Wrap(api.Unavailable, "subscribe", "subscribing is not possible now, try later", err)
		}
		if !rt.known.Load() {
			fresh = append(fresh, rt)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout) // NATS wants a deadline
	defer cancel()
	if err := c.node.NC.FlushWithContext(ctx); err != nil {
		return api.Wrap(api.Unavailable, "subscribe", "subscribing is not possible now, try later", err)
	}
	for _, rt := range fresh {
		rt.known.Store(true)
	}
	return nil
}

// Unsubscribe implements [Client].
func (c *client) Unsubscribe(ctx context.Context, id string, forget bool) error {
	sub := c.unregister(id)
	if sub == nil {
		if forget { // a durable one that this connection has not resumed
			return c.endDurable(ctx, &subscription{Subscription: Subscription{ID: id}}, true)
		}
		return api.Errorf(api.NotFound, "unsubscribe", "no subscription %q", id)
	}
	c.release(sub)
	c.recall(id)
	var err error
	if sub.durable != nil {
		sub.durable.talk.Lock()
		err = c.endDurable(ctx, sub, forget)
		sub.durable.talk.Unlock()
	}
	c.event(api.EventUnsubscribed, func(e *api.Event) { e.Topic = sub.Filter })
	return err
}

// release ends what a subscription holds on this node. It waits for a delivery
// that is under way, not for NATS.
func (c *client) release(sub *subscription) {
	if sub.target != nil {
		sub.target.end()
		for _, filter := range sub.subjects {
			c.node.router.remove(filter, sub.target)
		}
	}
	if sub.queue != nil {
		sub.queue.close()
	}
	if sub.durable != nil && !sub.Main { // a main queue goes on without this filter
		c.dropQueue(sub.durable)
	}
}
