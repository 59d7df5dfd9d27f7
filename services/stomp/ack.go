package stomp

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

// ackMode is how a subscription is acknowledged (STOMP 1.2 "SUBSCRIBE ack Header").
type ackMode uint8

const (
	auto       ackMode = iota // done when sent
	cumulative                // "client": covers all earlier ones too
	individual                // "client-individual"
)

// answer is an ACK or NACK of a message that was found.
type answer struct {
	sub    *subscription
	number uint64
	nack   bool
}

// onAck answers for messages (STOMP 1.2 "ACK", "NACK").
func (c *conn) onAck(ctx context.Context, f stomp.Frame) error {
	if f.Command == stomp.CmdNack && c.version == stomp.V10 {
		return violation("NACK is not in STOMP 1.0")
	}
	a, err := c.answered(f)
	if err != nil {
		return err
	}
	receipt := f.Get("receipt")
	if name, ok := f.Lookup("transaction"); ok {
		return c.hold(name, held{answer: a, receipt: receipt, size: size(f)})
	}
	if err := c.settle(ctx, a); err != nil {
		return err
	}
	return c.receipt(receipt)
}

// answered finds what an ACK is about. 1.2 names it by the ack header of the
// MESSAGE, 1.1 by message-id and subscription, 1.0 by message-id.
func (c *conn) answered(f stomp.Frame) (answer, error) {
	if c.version == stomp.V12 {
		id, err := required(f, "id")
		if err != nil {
			return answer{}, err
		}
		return c.byAckID(f, id)
	}
	id, err := required(f, "message-id")
	if err != nil {
		return answer{}, err
	}
	sub := f.Get("subscription")
	if sub == "" && c.version == stomp.V11 {
		return answer{}, violation("%s needs a header subscription", f.Command)
	}
	for _, s := range c.subs.byID {
		if sub != "" && s.id != sub {
			continue
		}
		i := slices.IndexFunc(s.unacked, func(u unacked) bool { return u.messageID == id })
		if i >= 0 {
			return answer{s, s.unacked[i].number, f.Command == stomp.CmdNack}, nil
		}
	}
	return answer{}, unknown(f, id)
}

func unknown(f stomp.Frame, id string) error {
	return violation("%s of %s: no such message waits for an answer", f.Command, id)
}

// ackID is the value of the ack header: unique to the connection, and enough to
// find the message without a table.
func ackID(number uint64, sub string) string { return strconv.FormatUint(number, 10) + "-" + sub }

func (c *conn) byAckID(f stomp.Frame, id string) (answer, error) {
	digits, sub, _ := strings.Cut(id, "-")
	number, err := strconv.ParseUint(digits, 10, 64)
	s := c.subs.byID[sub]
	if err != nil || s == nil || id != ackID(number, sub) {
		return answer{}, unknown(f, id)
	}
	if _, ok := s.find(number); !ok {
		return answer{}, unknown(f, id)
	}
	return answer{s, number, f.Command == stomp.CmdNack}, nil
}

// find is binary: unacked is in the order of numbers.
func (s *subscription) find(number uint64) (int, bool) {
	return slices.BinarySearchFunc(s.unacked, number, func(u unacked, n uint64) int {
		switch {
		case u.number < n:
			return -1
		case u.number > n:
			return 1
		}
		return 0
	})
}

// settle tells the door what the device said. A message that something else has
// settled since the frame came is left alone.
func (c *conn) settle(ctx context.Context, a answer) error {
	s := a.sub
	last, ok := s.find(a.number)
	if !ok {
		return nil
	}
	first := last
	if s.mode == cumulative {
		first = 0
	}
	var why error
	if a.nack {
		why = gateway.ErrNack
	}
	for _, u := range s.unacked[first : last+1] {
		u.delivery.Done(why)
	}
	s.unacked = remove(s.unacked, first, last+1)
	return c.unpark(ctx, s)
}

// remove is slices.Delete that does not move the rest when the front goes, the
// usual case, and keeps no memory of a burst.
func remove(all []unacked, from, to int) []unacked {
	if from > 0 {
		return slices.Delete(all, from, to)
	}
	clear(all[:to])
	if to == len(all) {
		return nil
	}
	return all[to:]
}
