package gatewaytest

import (
	"slices"
	"sync"

	"sluice/pkg/gateway"
)

// Deny sets what decides on publishes and subscriptions from now on: verb is
// "publish" or "subscribe", an error refuses.
func (c *Client) Deny(f func(verb, name string) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deny = f
}

// Manual leaves publishes unanswered until the test calls Ack.
func (c *Client) Manual(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.manual = on
}

// Hold makes Subscribe and Unsubscribe wait until release is called.
func (c *Client) Hold() (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gate := make(chan struct{})
	c.gate = gate
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.gate = nil
		close(gate)
	})
}

// Ack answers a confirmed publish or a batch by its tag: nil says that it is
// stored.
func (c *Client) Ack(tag uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inflight -= c.sizes[tag]
	delete(c.sizes, tag)
	c.push(gateway.Event{Kind: gateway.Acked, Tag: tag, Err: err})
}

// Stored takes n publishes that asked for no confirmation out of flight.
func (c *Client) Stored(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inflight -= n
	c.signal()
}

// Lose fails a publish that asked for no confirmation.
func (c *Client) Lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inflight--
	c.push(gateway.Event{Kind: gateway.Acked, Err: err})
}

// Kick tells the connection to end.
func (c *Client) Kick(why error) {
	select {
	case c.kicked <- why:
	default:
	}
	if c.notify != nil {
		c.notify()
	}
}

// Resend says that the device has not acknowledged message seq of sub in time;
// attempt is the number of times with the one that is asked for.
func (c *Client) Resend(sub string, seq uint64, attempt int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.push(gateway.Event{Kind: gateway.Resend, Delivery: gateway.Delivery{Sub: sub, Seq: seq, Attempt: attempt}})
}

// Drained says that nothing waits any more for a client that woke up.
func (c *Client) Drained() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.push(gateway.Event{Kind: gateway.Drained})
}

// Sleeps are the calls of Sleep that were accepted.
func (c *Client) Sleeps() []gateway.Sleep {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]gateway.Sleep(nil), c.sleeps...)
}

// Left is what Leave was given last.
func (c *Client) Left() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.left
}

// Outcome is what became of one delivery.
type Outcome struct {
	mu    sync.Mutex
	calls int
	err   error
}

// Result is how often Done was called, and with what the first time.
func (o *Outcome) Result() (calls int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls, o.err
}

func (o *Outcome) done(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.calls++; o.calls == 1 {
		o.err = err
	}
}

// Mark changes a delivery before it goes out: Seq, Queue, Attempt.
type Mark func(*gateway.Delivery)

// Deliver hands a message to the edge for subscription sub.
func (c *Client) Deliver(sub, topic string, in *gateway.Inbound, marks ...Mark) *Outcome {
	o := &Outcome{}
	d := gateway.NewDelivery(sub, topic, in, o.done)
	for _, m := range marks {
		m(&d)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed > 0 {
		o.done(gateway.ErrClosed)
		return o
	}
	c.push(gateway.Event{Kind: gateway.Delivered, Delivery: d})
	return o
}

// Numbered makes a delivery one of a queue or a durable subscription.
func Numbered(seq uint64, queue bool, attempt int) Mark {
	return func(d *gateway.Delivery) { d.Seq, d.Queue, d.Attempt = seq, queue, attempt }
}

// Text is a message with a body and nothing else.
func Text(body string) *gateway.Inbound { return &gateway.Inbound{Payload: []byte(body)} }

// Published are the single publishes that were accepted.
func (c *Client) Published() []gateway.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]gateway.Message(nil), c.published...)
}

// Reports are the frames that were accepted.
func (c *Client) Reports() []gateway.Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]gateway.Report(nil), c.reports...)
}

// Batches are the batches that were accepted.
func (c *Client) Batches() [][]gateway.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([][]gateway.Message(nil), c.batches...)
}

// Tags are those of unanswered confirmed publishes and batches.
func (c *Client) Tags() []uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	var tags []uint64
	for t := range c.sizes {
		tags = append(tags, t)
	}
	slices.Sort(tags)
	return tags
}

// Subscriptions are the calls of Subscribe that were accepted.
func (c *Client) Subscriptions() []gateway.Subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]gateway.Subscription(nil), c.subs...)
}

// Unsubscriptions are the calls of Unsubscribe.
func (c *Client) Unsubscriptions() []Unsubscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Unsubscription(nil), c.unsubs...)
}

// Closed is how often Close was called, and with what the first time.
func (c *Client) Closed() (calls int, reason error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed, c.reason
}
