package jt808

import "time"

// Assembler puts the packets of a terminal's long messages together. Set the
// limits before use. Time is given by the caller: that of the packets.
type Assembler struct {
	Bytes int           // of all incomplete messages together
	Open  int           // incomplete messages at a time
	Keep  time.Duration // without a packet, before an incomplete message is given up

	open  []*partial
	bytes int
	done  recent
}

// partial is one incomplete message.
type partial struct {
	key    seriesKey
	bodies map[uint16]packet // by index
	bytes  int
	moved  time.Time
}

type packet struct {
	body []byte
	tag  uint64
}

// Partial is an incomplete message that is given up: what there is of it.
type Partial struct {
	ID    uint16
	First uint16
	Total uint16
	Tags  []uint64 // of its packets, as they were given to Add, in the order of their indexes
}

// Add takes one packet; tag is whatever the caller knows it by. When it makes a
// message whole, that is returned with the header of this packet, its serial
// number that of the first one, and without packet numbers. Packets that came
// before are dropped. given are messages for which there is no room any more.
func (a *Assembler) Add(f Frame, tag uint64, now time.Time) (whole Frame, done bool, given []Partial) {
	key := keyOf(f.Header)
	if !f.Sub() || a.done.has(key) {
		return Frame{}, false, nil
	}
	one, given := a.find(key)
	if _, twice := one.bodies[f.Index]; !twice {
		one.bodies[f.Index] = packet{append([]byte(nil), f.Body...), tag}
		one.bytes += len(f.Body)
		a.bytes += len(f.Body)
	}
	one.moved = now
	if len(one.bodies) == int(key.total) {
		a.remove(one)
		a.done.add(key)
		return one.join(f.Header), true, given
	}
	for len(a.open) > a.Open || a.bytes > a.Bytes {
		given = append(given, a.giveUp(a.open[0]))
	}
	return Frame{}, false, given
}

// find gives the message that a packet belongs to, a new one if there is none.
// One that the terminal begins again otherwise is given up.
func (a *Assembler) find(key seriesKey) (one *partial, given []Partial) {
	for _, o := range a.open {
		if o.key == key {
			return o, nil
		}
		if o.key.same(key) {
			given = append(given, a.giveUp(o))
			break
		}
	}
	one = &partial{key: key, bodies: map[uint16]packet{}}
	a.open = append(a.open, one)
	return one, given
}

func (p *partial) join(h Header) Frame {
	body := make([]byte, 0, p.bytes)
	for i := range p.key.total {
		body = append(body, p.bodies[i+1].body...)
	}
	h.Serial, h.Total, h.Index, h.Length = p.key.first, 0, 0, len(body)
	return Frame{h, body}
}

func (a *Assembler) remove(one *partial) {
	for i, o := range a.open {
		if o == one {
			a.open = append(a.open[:i:i], a.open[i+1:]...)
			a.bytes -= one.bytes
			return
		}
	}
}

func (a *Assembler) giveUp(one *partial) Partial {
	a.remove(one)
	p := Partial{ID: one.key.id, First: one.key.first, Total: one.key.total}
	for i := range one.key.total {
		if k, ok := one.bodies[i+1]; ok {
			p.Tags = append(p.Tags, k.tag)
		}
	}
	return p
}

// Expired gives up what got no packet for Keep.
func (a *Assembler) Expired(now time.Time) (given []Partial) {
	for _, one := range append([]*partial(nil), a.open...) {
		if now.Sub(one.moved) >= a.Keep {
			given = append(given, a.giveUp(one))
		}
	}
	return given
}

// Oldest is the lowest tag of all packets that wait for others; ok is false when
// none do.
func (a *Assembler) Oldest() (tag uint64, ok bool) {
	for _, one := range a.open {
		for _, k := range one.bodies {
			if !ok || k.tag < tag {
				tag, ok = k.tag, true
			}
		}
	}
	return tag, ok
}
