package stomp

import (
	"context"
	"strings"
	"time"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

// transaction holds frames until COMMIT (STOMP 1.2 "BEGIN").
type transaction struct {
	name  string
	began time.Time
	held  []held
	bytes int
}

// held is a SEND, ACK or NACK in a transaction.
type held struct {
	message *gateway.Message // nil: an answer
	answer  answer
	receipt string
	size    int
}

func (c *conn) onBegin(f stomp.Frame) error {
	name, err := required(f, "transaction")
	if err != nil {
		return err
	}
	limit := c.edge.conf.Transaction.MaxOpen
	switch {
	case c.txs[name] != nil:
		return violation("Transaction %s already started", name)
	case len(c.txs) >= limit:
		return excess(api.Busy, "more than %d open transactions", limit)
	case c.txs == nil:
		c.txs = map[string]*transaction{}
	}
	t := &transaction{name: strings.Clone(name), began: time.Now()}
	c.txs[t.name] = t
	return c.receipt(f.Get("receipt"))
}

// hold puts a frame into its transaction. Its receipt comes when the frame has
// taken effect, after COMMIT.
func (c *conn) hold(name string, h held) error {
	t := c.txs[name]
	if t == nil {
		return violation("Transaction %s not found", name)
	}
	limits := &c.edge.conf.Transaction
	t.bytes += h.size
	switch {
	case len(t.held) >= limits.MaxFrames:
		return excess(api.TooLarge, "more than %d frames in transaction %s", limits.MaxFrames, name)
	case t.bytes > int(limits.MaxBytes):
		return excess(api.TooLarge, "more than %d bytes in transaction %s", limits.MaxBytes, name)
	}
	t.held = append(t.held, h)
	return nil
}

// end takes a transaction out of the open ones.
func (c *conn) end(f stomp.Frame) (*transaction, error) {
	name, err := required(f, "transaction")
	if err != nil {
		return nil, err
	}
	t := c.txs[name]
	if t == nil {
		return nil, violation("Transaction %s not found", name)
	}
	delete(c.txs, name)
	return t, nil
}

func (c *conn) onAbort(f stomp.Frame) error {
	if _, err := c.end(f); err != nil {
		return err
	}
	return c.receipt(f.Get("receipt"))
}

// onCommit publishes all messages of a transaction or none. Its answers take
// effect, and its receipts go out, when the messages are stored.
func (c *conn) onCommit(ctx context.Context, f stomp.Frame) error {
	t, err := c.end(f)
	if err != nil {
		return err
	}
	var batch []gateway.Message
	for _, h := range t.held {
		if h.message != nil {
			batch = append(batch, *h.message)
		}
	}
	receipt := f.Get("receipt")
	if len(batch) == 0 {
		return c.committed(ctx, t, receipt)
	}
	tag := c.sends.add(pending{receipt: receipt, name: t.name, tx: t})
	if err := c.client.PublishBatch(ctx, batch, tag); err != nil {
		return commitError(err, t.name)
	}
	return nil
}

// commitError says which message of the transaction it was, as the door tells.
func commitError(err error, name string) *refusal {
	r := doorError(err, "Cannot commit transaction", name)
	if r.kind == api.Denied {
		r.text = "Insufficient permissions in transaction " + name + ": " + api.PeerText(err)
	}
	return r
}

func (c *conn) committed(ctx context.Context, t *transaction, receipt string) error {
	for _, h := range t.held {
		if h.message == nil {
			if err := c.settle(ctx, h.answer); err != nil {
				return err
			}
		}
		if err := c.receipt(h.receipt); err != nil {
			return err
		}
	}
	return c.receipt(receipt)
}

// oldest is when the first open transaction will have been open for too long.
func (c *conn) oldest() (at time.Time) {
	for _, t := range c.txs {
		if end := t.began.Add(c.edge.conf.Transaction.Timeout); at.IsZero() || end.Before(at) {
			at = end
		}
	}
	return at
}

func (c *conn) expired(now time.Time) error {
	for _, t := range c.txs {
		if limit := c.edge.conf.Transaction.Timeout; !t.began.Add(limit).After(now) {
			return excess(api.Busy, "Transaction %s was open for longer than %s", t.name, limit)
		}
	}
	return nil
}
