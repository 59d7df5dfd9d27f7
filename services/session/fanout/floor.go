package fanout

// floor knows up to where all messages are settled, in the order they were read:
// where an owner after us has to go on.
type floor struct {
	order []*Message // read, from the first that is not settled
	seq   uint64     // everything up to here is settled
}

// add takes the next message in the order of reading, settled or not.
func (f *floor) add(m *Message) {
	if m.left == 0 && len(f.order) == 0 {
		f.seq = m.Seq
		return
	}
	f.order = append(f.order, m)
}

// rise looks how far the floor has come.
func (f *floor) rise() {
	n := 0
	for n < len(f.order) && f.order[n].left == 0 {
		f.seq = f.order[n].Seq
		f.order[n] = nil
		n++
	}
	f.order = f.order[n:]
	if len(f.order) == 0 {
		f.order = nil // let the array go
	}
}

// restart has the floor begin anew: reading goes on after seq.
func (f *floor) restart(seq uint64) { f.order, f.seq = nil, seq }
