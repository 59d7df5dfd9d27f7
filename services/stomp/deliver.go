package stomp

import (
	"context"
	"strconv"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

// subscriptions are those of one connection.
type subscriptions struct {
	byID  map[string]*subscription
	count uint64 // of messages sent: makes their ids unique
	parked
}

// parked counts what waits in all subscriptions of a connection because its
// device holds as many messages as it may.
type parked struct{ messages, bytes int }

func (s *subscriptions) add(sub *subscription) {
	if s.byID == nil {
		s.byID = map[string]*subscription{}
	}
	s.byID[sub.id] = sub
}

type subscription struct {
	id       string
	named    bool // the device gave it the id
	ending   bool // UNSUBSCRIBE came
	mode     ackMode
	dest     destination
	prefetch int // as asked for
	window   int // unacknowledged messages at most; 0 = the door sees to it
	unacked  []unacked
	waiting  []gateway.Delivery
}

// unacked is a message that the device has and must answer for.
type unacked struct {
	number    uint64 // in the order of sending, unique to the connection
	messageID string
	delivery  gateway.Delivery
}

// onWake takes what the door has, and goes if that was all that was waited for.
func (c *conn) onWake(ctx context.Context) error {
	err := c.take(ctx)
	if err == nil && c.state == leaving {
		return c.leave(ctx)
	}
	return err
}

// take is one batch of the door's events, one write.
func (c *conn) take(ctx context.Context) (err error) {
	s := c.out.work()
	s.events = c.client.Take(s.events[:0])
	for i := range s.events {
		e := &s.events[i]
		switch {
		case e.Kind == gateway.Delivered && (err != nil || c.state == leaving):
			e.Delivery.Done(gateway.ErrClosed)
		case e.Kind == gateway.Delivered:
			err = c.onDelivery(ctx, e.Delivery)
		case err == nil:
			err = c.onAcked(ctx, e.Tag, e.Err)
		}
	}
	clear(s.events)
	s.events = s.events[:0]
	return err
}

// onDelivery sends a message to the device, or lets it wait for an ACK.
func (c *conn) onDelivery(ctx context.Context, d gateway.Delivery) error {
	s := c.subs.byID[d.Sub]
	switch {
	case s == nil:
		d.Done(gateway.ErrClosed)
		return nil
	case s.ending, s.mode != auto && s.full():
		c.park(s, d)
		return nil
	}
	return c.send(ctx, s, d)
}

func (s *subscription) full() bool {
	return s.window > 0 && len(s.unacked) >= s.window || len(s.waiting) > 0
}

// park lets a message wait, within the door's bounds for messages that wait
// for one device; the newest is the one that is lost.
func (c *conn) park(s *subscription, d gateway.Delivery) {
	conf := &c.edge.conf
	n := len(d.Msg.Payload)
	if d.Seq == 0 && (c.subs.messages >= conf.MaxPending || c.subs.bytes+n > int(conf.MaxPendingSize)) {
		d.Done(gateway.ErrSlow)
		return
	}
	c.subs.messages++
	c.subs.bytes += n
	s.waiting = append(s.waiting, d)
}

// unpark sends what an ACK made room for.
func (c *conn) unpark(ctx context.Context, s *subscription) error {
	for len(s.waiting) > 0 && (s.window == 0 || len(s.unacked) < s.window) && !s.ending {
		d := s.waiting[0]
		s.waiting[0] = gateway.Delivery{}
		if s.waiting = s.waiting[1:]; len(s.waiting) == 0 {
			s.waiting = nil
		}
		c.subs.messages--
		c.subs.bytes -= len(d.Msg.Payload)
		if err := c.send(ctx, s, d); err != nil {
			return err
		}
	}
	return nil
}

// send writes a MESSAGE (STOMP 1.2 "MESSAGE"). In auto mode the door hears
// that it is done when the bytes are out.
func (c *conn) send(ctx context.Context, s *subscription, d gateway.Delivery) error {
	c.subs.count++
	u := unacked{number: c.subs.count, messageID: messageID(d, c.subs.count), delivery: d}
	if s.mode == auto {
		w := c.out.work()
		w.sent = append(w.sent, d)
	} else {
		s.unacked = append(s.unacked, u)
	}
	if err := c.out.frame(c.messageFrame(s, u), c.version); err != nil {
		return err
	}
	if c.out.full() {
		return c.out.flush(ctx)
	}
	return nil
}

// messageFrame borrows the headers of the scratch: encode it at once. The
// server's own headers come first, so that they are the ones that count
// (STOMP 1.2 "Repeated Header Entries").
func (c *conn) messageFrame(s *subscription, u unacked) stomp.Frame {
	w := c.out.work()
	h := w.headers[:0]
	if c.version != stomp.V10 || s.named {
		h = append(h, stomp.Header{Name: "subscription", Value: s.id})
	}
	h = append(h,
		stomp.Header{Name: "message-id", Value: u.messageID},
		stomp.Header{Name: "destination", Value: s.dest.of(u.delivery.Topic)})
	if s.mode != auto && c.version == stomp.V12 {
		h = append(h, stomp.Header{Name: "ack", Value: ackID(u.number, s.id)})
	}
	if u.delivery.Attempt > 1 {
		h = append(h, stomp.Header{Name: "redelivered", Value: "true"})
	}
	in := u.delivery.Msg
	if in.ContentType != "" {
		h = append(h, stomp.Header{Name: "content-type", Value: in.ContentType})
	}
	for _, p := range in.Props {
		if !reserved(p.Name) {
			h = append(h, stomp.Header{Name: p.Name, Value: p.Value})
		}
	}
	w.headers = h
	return stomp.Frame{Command: stomp.CmdMessage, Headers: h, Body: in.Payload}
}

// messageID is stable where the message has a number of its own, so that a
// device can tell that it has seen it.
func messageID(d gateway.Delivery, count uint64) string {
	var space [24]byte
	b := space[:0]
	switch {
	case d.Seq == 0:
		b = strconv.AppendUint(append(b, 't'), count, 10)
	case d.Queue:
		b = strconv.AppendUint(append(b, 'w'), d.Seq, 10)
	default:
		b = strconv.AppendUint(append(b, 'd'), d.Seq, 10)
	}
	return string(b)
}

// giveUp returns all that the device has not answered for.
func (s *subscription) giveUp(all *subscriptions) {
	for _, u := range s.unacked {
		u.delivery.Done(gateway.ErrClosed)
	}
	for _, d := range s.waiting {
		d.Done(gateway.ErrClosed)
		all.messages--
		all.bytes -= len(d.Msg.Payload)
	}
	s.unacked, s.waiting = nil, nil
}
