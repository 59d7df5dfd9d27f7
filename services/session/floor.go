package session

// floor knows up to where all messages are settled, in the order they were read.
// The consumer of the fan-out is acknowledged up to there, for many messages at
// a time: an acknowledgement of each would cost as much as reading it.
type floor struct {
	order []*held      // read, from the first that is not settled
	seq   uint64       // everything up to here is settled
	ack   func() error // acknowledges up to the last one of these that the consumer delivered
	due   int          // how many ack would cover
}

// ackEvery is how many messages are acknowledged together; the sweep of the term
// acknowledges fewer.
const ackEvery = 256

// add takes the next message in the order of reading, settled or not.
func (f *floor) add(h *held) {
	if h.settled() && len(f.order) == 0 {
		f.rise(h)
		return
	}
	f.order = append(f.order, h)
}

// settled looks how far the floor has come, and calls gone for what it passed.
func (f *floor) settled(gone func(*held)) {
	n := 0
	for n < len(f.order) && f.order[n].settled() {
		f.rise(f.order[n])
		gone(f.order[n])
		f.order[n] = nil
		n++
	}
	f.order = f.order[n:]
	if len(f.order) == 0 {
		f.order = nil // let the array go
	}
}

func (f *floor) rise(h *held) {
	f.seq = h.seq
	f.due++
	if h.ack != nil {
		f.ack = h.ack
	}
	if f.due >= ackEvery {
		f.flush()
	}
}

// flush acknowledges. Failing, the messages are delivered again, and then they
// are acknowledged.
func (f *floor) flush() {
	if f.ack != nil {
		_ = f.ack()
	}
	f.ack, f.due = nil, 0
}
