package jt808

import "time"

// Gaps follows which packets of its long messages a terminal has sent, without
// their bodies, and says which to ask for again (§5.6, 0x8003). The zero value
// follows nothing: set the limits. Time is given by the caller.
type Gaps struct {
	Wait   time.Duration // without a packet, before missing ones are asked for
	Rounds int           // of asking; then the message is given up
	Open   int           // incomplete messages at a time; the oldest goes when there are more

	open []*gap
	done recent
}

// gap is one incomplete message.
type gap struct {
	key    seriesKey
	have   []uint64 // bits
	left   int
	moved  time.Time // the last packet, or the last time of asking
	rounds int
}

// Missing is what a terminal is to send again, or what will not come any more.
type Missing struct {
	ID      uint16
	First   uint16   // serial number of the first packet
	Indexes []uint16 // from 1, ascending; at most maxMissing of them
	GivenUp bool     // asked for often enough
}

// maxMissing packets are asked for at a time: the count of 0x8003 is a byte in
// the edition of 2013.
const maxMissing = 255

// Add notes a packet; whole tells that with it all have come. One that came
// before, also of a message that is whole, changes nothing.
func (g *Gaps) Add(h Header, now time.Time) (whole bool) {
	key := keyOf(h)
	if !h.Sub() || g.done.has(key) {
		return false
	}
	one := g.find(key)
	if one == nil {
		one = &gap{key: key, have: make([]uint64, (int(h.Total)+63)/64), left: int(h.Total)}
		if g.open = append(g.open, one); len(g.open) > g.Open {
			g.open = g.open[1:]
		}
	}
	one.moved = now
	bit := uint64(1) << ((h.Index - 1) % 64)
	if word := &one.have[(h.Index-1)/64]; *word&bit == 0 {
		*word |= bit
		one.left--
	}
	if one.left > 0 {
		return false
	}
	g.remove(one)
	g.done.add(key)
	return true
}

// find also drops a message that the terminal begins again otherwise.
func (g *Gaps) find(key seriesKey) *gap {
	for _, one := range g.open {
		if one.key == key {
			return one
		}
		if one.key.same(key) {
			g.remove(one)
			return nil
		}
	}
	return nil
}

func (g *Gaps) remove(one *gap) {
	for i, o := range g.open {
		if o == one {
			g.open = append(g.open[:i:i], g.open[i+1:]...)
			return
		}
	}
}

// Next is when Due has something at the earliest; zero when nothing is missing.
func (g *Gaps) Next() (at time.Time) {
	for _, one := range g.open {
		if due := one.moved.Add(g.Wait); at.IsZero() || due.Before(at) {
			at = due
		}
	}
	return at
}

// Due is what has not come for long enough.
func (g *Gaps) Due(now time.Time) (all []Missing) {
	for _, one := range append([]*gap(nil), g.open...) {
		if now.Before(one.moved.Add(g.Wait)) {
			continue
		}
		one.moved = now
		one.rounds++
		m := Missing{ID: one.key.id, First: one.key.first, Indexes: one.missing(), GivenUp: one.rounds > g.Rounds}
		if m.GivenUp {
			g.remove(one)
		}
		all = append(all, m)
	}
	return all
}

func (g *gap) missing() (all []uint16) {
	for i := range g.key.total {
		if g.have[i/64]&(1<<(i%64)) == 0 {
			if all = append(all, i+1); len(all) == maxMissing {
				break
			}
		}
	}
	return all
}
