package gateway

import (
	"context"

	"sluice/pkg/api"
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
	if err != nil {
		c.unregister(s.ID)
		c.release(sub)
		return err
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
	if sub.subjects, err = c.mount.Subscribe(sub.Filter); err != nil {
		return api.Errorf(api.Invalid, "subscribe", "%w", err)
	}
	if !c.acl.allows(actionSubscribe, sub.subjects[0]) {
		return denied("subscribe to", sub.Filter)
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

// subscribePlain returns after NATS confirmed that it knows the filter: what is
// published from then on, anywhere in the cluster, arrives.
func (c *client) subscribePlain(ctx context.Context, sub *subscription) error {
	sub.target = &target{client: c, id: sub.ID}
	fresh := false
	for _, filter := range sub.subjects {
		f, err := c.node.router.add(filter, sub.target)
		if err != nil {
			return api.Wrap(api.Unavailable, "subscribe", "subscribing is not possible now, try later", err)
		}
		fresh = fresh || f
	}
	if !fresh {
		return nil
	}
	if err := c.node.NC.FlushWithContext(ctx); err != nil {
		return api.Wrap(api.Unavailable, "subscribe", "subscribing is not possible now, try later", err)
	}
	return nil
}

// Unsubscribe implements [Client].
func (c *client) Unsubscribe(ctx context.Context, id string, forget bool) error {
	sub := c.unregister(id)
	if sub == nil {
		if forget { // a durable one that this connection has not resumed
			return c.endDurable(ctx, id, true)
		}
		return api.Errorf(api.NotFound, "unsubscribe", "no subscription %q", id)
	}
	c.release(sub)
	var err error
	if sub.durable != nil {
		err = c.endDurable(ctx, id, forget)
	}
	c.event(api.EventUnsubscribed, func(e *api.Event) { e.Topic = sub.Filter })
	return err
}

// release ends what a subscription holds on this node. It does not wait.
func (c *client) release(sub *subscription) {
	if sub.target != nil {
		for _, filter := range sub.subjects {
			c.node.router.remove(filter, sub.target)
		}
	}
	if sub.queue != nil {
		sub.queue.close()
	}
	if sub.durable != nil {
		sub.durable.close()
	}
}
