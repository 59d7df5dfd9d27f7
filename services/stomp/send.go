package stomp

import (
	"context"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

// sends is what waits for the door's word that it is stored.
type sends struct {
	tag     uint64
	pending map[uint64]pending
	peak    int    // entries that pending has had
	goodbye string // receipt of DISCONNECT
	lost    int    // of those without receipt
}

// pending is an unanswered SEND with receipt, or COMMIT.
type pending struct {
	receipt string
	name    string       // for the ERROR
	tx      *transaction // nil for a SEND
}

// maxIdlePending is what a map may have grown to and still be kept when empty.
const maxIdlePending = 64

func (s *sends) add(p pending) (tag uint64) {
	s.tag++
	if s.pending == nil {
		s.pending = map[uint64]pending{}
	}
	s.pending[s.tag] = p
	s.peak = max(s.peak, len(s.pending))
	return s.tag
}

func (s *sends) take(tag uint64) (p pending, ok bool) {
	p, ok = s.pending[tag]
	delete(s.pending, tag)
	if len(s.pending) == 0 && s.peak > maxIdlePending {
		s.pending, s.peak = nil, 0 // maps do not shrink
	}
	return p, ok
}

// onSend publishes (STOMP 1.2 "SEND"). A receipt says that the message is
// stored, so it waits for the door.
func (c *conn) onSend(ctx context.Context, f stomp.Frame) error {
	d, err := parseDestination(f)
	if err != nil {
		return err
	}
	m := message(d, f)
	if name, ok := f.Lookup("transaction"); ok {
		kept := m // so that m stays off the heap without a transaction
		return c.hold(name, held{message: &kept, receipt: f.Get("receipt"), size: size(f)})
	}
	if receipt := f.Get("receipt"); receipt != "" {
		m.Confirm = true
		m.Tag = c.sends.add(pending{receipt: receipt, name: d.String()})
	}
	if err := c.client.Publish(ctx, m); err != nil {
		return doorError(err, "Cannot send to", d.String())
	}
	return nil
}

// message is what a SEND asks to publish. What is no instruction to the server
// is the user's and goes with it, in order and with repetitions.
func message(d destination, f stomp.Frame) gateway.Message {
	m := gateway.Message{Topic: d.name, Queue: d.queue, Payload: f.Body}
	users := 0
	for i := range f.Headers {
		if !reserved(f.Headers[i].Name) {
			users++
		}
	}
	if users > 0 {
		m.Props = make([]gateway.Prop, 0, users)
	}
	for i := range f.Headers {
		h := &f.Headers[i]
		switch {
		case !reserved(h.Name):
			m.Props = append(m.Props, gateway.Prop{Name: h.Name, Value: h.Value})
		case h.Name == "content-type" && m.ContentType == "":
			m.ContentType = h.Value
		}
	}
	return m
}

// reserved tells the headers of SEND that are for the server, and those of
// MESSAGE that only the server writes.
func reserved(name string) bool {
	switch name {
	case "destination", "content-length", "content-type", "transaction", "receipt",
		"subscription", "message-id", "ack", "redelivered":
		return true
	}
	return false
}

// size is what a held frame counts for.
func size(f stomp.Frame) int {
	n := len(f.Body)
	for i := range f.Headers {
		n += len(f.Headers[i].Name) + len(f.Headers[i].Value)
	}
	return n
}

// onAcked tells the device that what it sent is stored, or is not.
func (c *conn) onAcked(ctx context.Context, tag uint64, err error) error {
	p, ok := c.sends.take(tag)
	if !ok {
		if err != nil {
			c.sends.lost++
		}
		return nil
	}
	switch {
	case err != nil && p.tx != nil:
		return commitError(err, p.name).of(p.receipt)
	case err != nil:
		return doorError(err, "Cannot send to", p.name).of(p.receipt)
	case p.tx != nil:
		return c.committed(ctx, p.tx, p.receipt)
	}
	return c.receipt(p.receipt)
}
