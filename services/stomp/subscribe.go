package stomp

import (
	"context"
	"strconv"
	"strings"
	"time"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

const (
	maxPrefetch = 1000
	callTimeout = 30 * time.Second // of a subscribe or unsubscribe; the door's own limits are shorter
)

var errCallTimeout = api.Errorf(api.Unavailable, "subscribe", "the server does not answer, try later")

// onSubscribe opens a subscription (STOMP 1.2 "SUBSCRIBE"). It is known here
// before the door knows it: its first message may come before the door's answer.
func (c *conn) onSubscribe(ctx context.Context, f stomp.Frame) error {
	s, err := c.newSubscription(f)
	if err != nil {
		return err
	}
	durable := !s.dest.queue && keeps(f)
	if durable && (!c.named || f.Get("id") == "") {
		return violation("a durable subscription needs a header id, and client-id in CONNECT")
	}
	c.subs.add(s)
	ask := gateway.Subscription{ID: s.id, Filter: s.dest.name, Queue: s.dest.queue, Durable: durable, Window: s.prefetch}
	subscribe := func(ctx context.Context) (gateway.Client, error) { return nil, c.client.Subscribe(ctx, ask) }
	receipt := f.Get("receipt")
	c.call(ctx, callTimeout, errCallTimeout, subscribe, func(_ context.Context, r result) error {
		if r.err != nil {
			return doorError(r.err, "Cannot subscribe to", s.dest.String()).of(receipt)
		}
		return c.receipt(receipt)
	})
	return nil
}

func (c *conn) newSubscription(f stomp.Frame) (*subscription, error) {
	d, err := parseDestination(f)
	if err != nil {
		return nil, err
	}
	id, err := c.subscriptionID(f)
	if err != nil {
		return nil, err
	}
	if c.subs.byID[id] != nil {
		return nil, violation("subscription id %s is in use", id)
	}
	if _, ok := f.Lookup("selector"); ok {
		return nil, violation("selector is not supported")
	}
	s := &subscription{
		id: strings.Clone(id), dest: destination{prefix: d.prefix, name: strings.Clone(d.name), queue: d.queue},
		named: f.Get("id") != "",
	}
	if s.mode, err = c.ackMode(f); err != nil {
		return nil, err
	}
	if s.prefetch, err = prefetch(f); err != nil {
		return nil, err
	}
	if s.window = s.prefetch; !d.queue && !keeps(f) && s.window == 0 {
		s.window = maxPrefetch // the door bounds the others
	}
	return s, nil
}

// subscriptionID finds the id: required since 1.1, in 1.0 the destination
// stands in for it (STOMP 1.0 "SUBSCRIBE").
func (c *conn) subscriptionID(f stomp.Frame) (string, error) {
	if c.version == stomp.V10 && f.Get("id") == "" {
		return required(f, "destination")
	}
	return required(f, "id")
}

// ackMode reads the ack header (STOMP 1.2 "SUBSCRIBE ack Header").
func (c *conn) ackMode(f stomp.Frame) (ackMode, error) {
	value, ok := f.Lookup("ack")
	switch {
	case !ok || value == "auto":
		return auto, nil
	case value == "client":
		return cumulative, nil
	case value == "client-individual" && c.version >= stomp.V11:
		return individual, nil
	}
	return auto, violation("ack mode %q is none of STOMP %s", value, c.version)
}

// prefetch is how many messages may be unacknowledged, 0 when not said.
func prefetch(f stomp.Frame) (int, error) {
	value, ok := f.Lookup("prefetch-count")
	if !ok {
		return 0, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxPrefetch {
		return 0, violation("prefetch-count must be from 1 to %d", maxPrefetch)
	}
	return n, nil
}

// keeps tells whether a frame is about a durable subscription; "persistent" is
// RabbitMQ's older word.
func keeps(f stomp.Frame) bool {
	return f.Get("durable") == "true" || f.Get("persistent") == "true"
}

// onUnsubscribe ends a subscription (STOMP 1.2 "UNSUBSCRIBE"). A durable one is
// only forgotten when the frame says durable:true, as with RabbitMQ. One that is
// not there is no error: the device has what it wanted.
func (c *conn) onUnsubscribe(ctx context.Context, f stomp.Frame) error {
	id, err := c.subscriptionID(f)
	if err != nil {
		return err
	}
	forget := keeps(f)
	if forget && !c.named {
		return violation("a durable subscription needs client-id in CONNECT")
	}
	s := c.subs.byID[id]
	if s == nil && !forget {
		return c.receipt(f.Get("receipt"))
	}
	if s != nil {
		s.ending = true
	}
	receipt := f.Get("receipt")
	unsubscribe := func(ctx context.Context) (gateway.Client, error) { return nil, c.client.Unsubscribe(ctx, id, forget) }
	c.call(ctx, callTimeout, errCallTimeout, unsubscribe, func(_ context.Context, r result) error {
		if r.err != nil && api.KindOf(r.err) != api.NotFound {
			return doorError(r.err, "Cannot unsubscribe", id).of(receipt)
		}
		if s != nil { // after the door has let go: before, a queue would send them again
			s.giveUp(&c.subs)
			delete(c.subs.byID, id)
		}
		return c.receipt(receipt)
	})
	return nil
}
