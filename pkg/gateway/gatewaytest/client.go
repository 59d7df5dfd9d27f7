package gatewaytest

import (
	"context"
	"sync"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/subject"
)

// Client is a scripted [gateway.Client]. Publishes are stored at once unless
// [Door.Manual] or [Client.Manual] says that the test does it with
// [Client.Ack].
type Client struct {
	wake   chan struct{}
	kicked chan error

	mu       sync.Mutex
	info     api.ClientInfo
	events   []gateway.Event
	inflight int
	window   int
	manual   bool
	deny     func(verb, name string) error
	gate     chan struct{} // holds blocking calls up; nil = open
	session  gateway.Session
	notify   func()
	record
}

// record is what the edge did.
type record struct {
	published []gateway.Message
	reports   []gateway.Report
	batches   [][]gateway.Message
	sizes     map[uint64]int // of unanswered publishes and batches
	subs      []gateway.Subscription
	unsubs    []Unsubscription
	live      map[string]bool
	sleeps    []gateway.Sleep
	left      []byte
	closed    int
	reason    error
}

// Unsubscription is one call of Unsubscribe.
type Unsubscription struct {
	ID     string
	Forget bool
}

// NewClient is a client as [Door] makes them.
func NewClient(h gateway.Hello) *Client {
	id := h.ClientID
	if id == "" {
		id = "made-by-door"
	}
	return &Client{
		wake: make(chan struct{}, 1), kicked: make(chan error, 1), window: 256, notify: h.Notify,
		record: record{sizes: map[uint64]int{}, live: map[string]bool{}},
		info: api.ClientInfo{
			ClientKey: api.ClientKey{Proto: "test", Instance: "default", Client: id},
			Epoch:     1, Username: h.Username, Peer: h.Peer, Connected: true,
		},
	}
}

// Publish implements [gateway.Client].
func (c *Client) Publish(_ context.Context, m gateway.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.denied("publish", m.Topic); err != nil {
		return err
	}
	c.published = append(c.published, m)
	switch {
	case c.manual:
		c.inflight++
		if m.Confirm {
			c.sizes[m.Tag] = 1
		}
	case m.Confirm:
		c.push(gateway.Event{Kind: gateway.Acked, Tag: m.Tag})
	}
	return nil
}

// Report implements [gateway.Client].
func (c *Client) Report(_ context.Context, r gateway.Report) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.denied("report", r.Topic); err != nil {
		return err
	}
	c.reports = append(c.reports, r)
	if c.manual {
		c.inflight++
		c.sizes[r.Tag] = 1
		return nil
	}
	c.push(gateway.Event{Kind: gateway.Acked, Tag: r.Tag})
	return nil
}

// Topic implements [gateway.Client].
func (c *Client) Topic(template string, own func(name string) (string, bool)) (string, error) {
	return subject.Expand(template, func(name string) (string, bool) {
		if own != nil {
			if v, ok := own(name); ok {
				return v, true
			}
		}
		switch name {
		case "clientid":
			return c.info.Client, true
		case "username":
			return c.info.Username, true
		}
		return "", false
	}), nil
}

// PublishBatch implements [gateway.Client].
func (c *Client) PublishBatch(_ context.Context, ms []gateway.Message, tag uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range ms {
		if err := c.denied("publish", m.Topic); err != nil {
			return err
		}
	}
	c.batches = append(c.batches, append([]gateway.Message(nil), ms...))
	if c.manual {
		c.inflight += len(ms)
		c.sizes[tag] = len(ms)
		return nil
	}
	c.push(gateway.Event{Kind: gateway.Acked, Tag: tag})
	return nil
}

// Subscribe implements [gateway.Client].
func (c *Client) Subscribe(ctx context.Context, s gateway.Subscription) error {
	if err := c.pass(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.denied("subscribe", s.Filter); err != nil {
		return err
	}
	if c.live[s.ID] {
		return api.Errorf(api.Conflict, "subscribe", "subscription id %q is in use", s.ID)
	}
	c.live[s.ID] = true
	c.subs = append(c.subs, s)
	return nil
}

// Unsubscribe implements [gateway.Client].
func (c *Client) Unsubscribe(ctx context.Context, id string, forget bool) error {
	if err := c.pass(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unsubs = append(c.unsubs, Unsubscription{id, forget})
	if !c.live[id] && !forget {
		return api.Errorf(api.NotFound, "unsubscribe", "no subscription %q", id)
	}
	delete(c.live, id)
	return nil
}

// Session implements [gateway.Client].
func (c *Client) Session() gateway.Session { return c.session }

// Sleep implements [gateway.Client].
func (c *Client) Sleep(ctx context.Context, s gateway.Sleep) error {
	if err := c.pass(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.denied("sleep", ""); err != nil {
		return err
	}
	c.sleeps = append(c.sleeps, s)
	return nil
}

// Leave implements [gateway.Client].
func (c *Client) Leave(state []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = state
}

// Wake implements [gateway.Client].
func (c *Client) Wake() <-chan struct{} { return c.wake }

// Take implements [gateway.Client].
func (c *Client) Take(buf []gateway.Event) []gateway.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	buf = append(buf, c.events...)
	c.events = nil
	return buf
}

// Kicked implements [gateway.Client].
func (c *Client) Kicked() <-chan error { return c.kicked }

// Inflight implements [gateway.Client].
func (c *Client) Inflight() (n, window int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inflight, c.window
}

// Info implements [gateway.Client].
func (c *Client) Info() api.ClientInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info
}

// Close implements [gateway.Client]. What was not taken is answered with
// ErrClosed, as the real one does.
func (c *Client) Close(reason error) {
	c.mu.Lock()
	c.closed++
	if c.closed == 1 {
		c.reason = reason
	}
	left := c.events
	c.events = nil
	c.mu.Unlock()
	for _, e := range left {
		if e.Kind == gateway.Delivered {
			e.Delivery.Done(gateway.ErrClosed)
		}
	}
}

// pass waits while the gate is down.
func (c *Client) pass(ctx context.Context) error {
	c.mu.Lock()
	gate := c.gate
	c.mu.Unlock()
	if gate == nil {
		return nil
	}
	select {
	case <-gate:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// denied and push are called with mu held.
func (c *Client) denied(verb, name string) error {
	if c.deny == nil {
		return nil
	}
	return c.deny(verb, name)
}

func (c *Client) push(e gateway.Event) {
	c.events = append(c.events, e)
	c.signal()
}

func (c *Client) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
	if c.notify != nil {
		c.notify()
	}
}
