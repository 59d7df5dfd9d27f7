package session

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// ackWait is how long a copy may be unanswered before it is sent again. Its
	// id makes it single.
	ackWait = 2 * time.Second
	// maxParcels and maxBytes bound the copies that wait to be stored. The next
	// message is read when there are fewer; one alone may have any number.
	maxParcels = 4096
	maxBytes   = 64 << 20
)

// held is a GW_DATA message whose copies are not all settled.
type held struct {
	seq    uint64
	subj   string
	header nats.Header // from the moment there are copies, without those of NATS
	data   []byte
	left   int
	ack    func() error // acknowledges all up to it; nil until the consumer has delivered it
}

// settled tells whether no copy is left to be stored.
func (h *held) settled() bool { return h.left == 0 }

// parcel is one copy on its way.
type parcel struct {
	h  *held
	to *sub
}

// outcome is what JetStream says of a copy.
type outcome uint8

const (
	retry   outcome = iota // it cannot answer now
	kept                   // stored
	before                 // stored before
	full                   // the queue takes no more
	refused                // it will never be stored
)

// lane is what waits for one queue, the first of it sent: never more than one,
// since only then nothing can overtake a copy that has to be sent again.
type lane struct {
	fifo  []parcel
	id    uint64 // of the first
	due   time.Time
	clear chan struct{} // closed when nothing is left
}

// lanes stores copies, in order in every queue, many queues at a time. send
// puts a parcel on its way; its answer comes to answered.
type lanes struct {
	send func(p parcel, id uint64) error

	mu      sync.Mutex
	open    map[string]*lane
	byID    map[uint64]string
	held    map[uint64]*held // by GW_DATA sequence: those above the floor
	floor   floor
	id      uint64
	parcels int
	bytes   int
	room    chan struct{} // told when there is room again
}

func newLanes(send func(parcel, uint64) error) *lanes {
	return &lanes{
		send: send, open: map[string]*lane{}, byID: map[uint64]string{}, held: map[uint64]*held{},
		room: make(chan struct{}, 1),
	}
}

// put takes a message with its copies. find is called under the lock, so that
// a subscription found is one whose lane [lanes.drained] can see.
func (l *lanes) put(h *held, find func() []*sub, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	to := find()
	h.left = len(to)
	if h.left == 0 {
		h.header, h.data = nil, nil
	} else {
		h.header = ownHeader(h.header)
		l.parcels += len(to)
		l.bytes += len(h.data)
	}
	if l.floor.add(h); l.floor.seq != h.seq {
		l.held[h.seq] = h
	}
	for _, s := range to {
		q := l.open[s.queue]
		if q == nil {
			q = &lane{clear: make(chan struct{})}
			l.open[s.queue] = q
		}
		q.fifo = append(q.fifo, parcel{h, s})
		if len(q.fifo) == 1 {
			l.first(s.queue, q, now)
		}
	}
}

// again takes the acknowledgement of a message that the consumer delivers once
// more.
func (l *lanes) again(seq uint64, ack func() error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h := l.held[seq]; h != nil {
		h.ack = ack
		return
	}
	_ = ack() // below the floor; failing, it is delivered once more
}

// acknowledge tells the consumer how far the floor is.
func (l *lanes) acknowledge() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.floor.flush()
}

// first sends the first parcel of a lane.
func (l *lanes) first(queue string, q *lane, now time.Time) {
	l.id++
	q.id = l.id
	l.byID[q.id] = queue
	l.dispatch(q, now)
}

func (l *lanes) dispatch(q *lane, now time.Time) {
	q.due = now.Add(ackWait)
	if l.send(q.fifo[0], q.id) != nil {
		q.due = now.Add(hurry)
	}
}

// answered settles the parcel with that id, and sends the next of its lane.
func (l *lanes) answered(id uint64, o outcome, now time.Time) (p parcel, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	queue, ok := l.byID[id]
	if !ok {
		return parcel{}, false // answered before
	}
	q := l.open[queue]
	p = q.fifo[0]
	if o == retry {
		q.due = now.Add(hurry / 2)
		return p, false
	}
	delete(l.byID, id)
	l.settle(p)
	q.fifo[0] = parcel{}
	if q.fifo = q.fifo[1:]; len(q.fifo) > 0 {
		l.first(queue, q, now)
	} else {
		close(q.clear)
		delete(l.open, queue)
	}
	return p, true
}

func (l *lanes) settle(p parcel) {
	l.parcels--
	if p.h.left--; p.h.left == 0 {
		l.bytes -= len(p.h.data)
		l.floor.settled(func(h *held) { delete(l.held, h.seq) })
	}
	if l.hasRoom() {
		select {
		case l.room <- struct{}{}:
		default:
		}
	}
}

func (l *lanes) hasRoom() bool {
	return l.parcels < maxParcels && l.bytes < maxBytes && len(l.floor.order) < 2*maxParcels
}

// full tells whether the next message has to wait for room.
func (l *lanes) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.hasRoom()
}

// sweep sends again what is overdue.
func (l *lanes) sweep(now time.Time) (again int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.open {
		if !now.Before(q.due) {
			l.dispatch(q, now)
			again++
		}
	}
	return again
}

// drained is closed when no copy waits for the queue; nil says that none does.
func (l *lanes) drained(queue string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q := l.open[queue]; q != nil {
		return q.clear
	}
	return nil
}
