package jt808

import "fmt"

// Packets cuts a message into as many packets as its body needs, with
// consecutive serial numbers from h.Serial on (§4.4.3). One that fits is a single
// frame without packet numbers. The bodies lie in body.
func Packets(h Header, body []byte) ([]Frame, error) {
	h.Total, h.Index = 0, 0
	if len(body) <= MaxBody {
		h.Length = len(body)
		return []Frame{{h, body}}, nil
	}
	total := (len(body) + MaxBody - 1) / MaxBody
	if total > 0xFFFF {
		return nil, fmt.Errorf("%w: body of %d bytes", ErrTooLong, len(body))
	}
	all := make([]Frame, total)
	for i := range all {
		part := body[i*MaxBody : min((i+1)*MaxBody, len(body))]
		one := h
		one.Serial += uint16(i)
		one.Total, one.Index, one.Length = uint16(total), uint16(i+1), len(part)
		all[i] = Frame{one, part}
	}
	return all, nil
}

// seriesKey names a long message of one terminal.
type seriesKey struct{ id, first, total uint16 }

func keyOf(h Header) seriesKey { return seriesKey{h.ID, h.First(), h.Total} }

// same tells a message that began again with another number of packets.
func (k seriesKey) same(o seriesKey) bool { return k.id == o.id && k.first == o.first }

// recent are the last messages that were whole: their packets may come again.
type recent struct {
	keys [4]seriesKey
	next int
}

func (r *recent) add(k seriesKey) {
	r.keys[r.next%len(r.keys)] = k
	r.next++
}

func (r *recent) has(k seriesKey) bool {
	for i := range min(r.next, len(r.keys)) {
		if r.keys[i] == k {
			return true
		}
	}
	return false
}
