package fanout

import (
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// ackWait is how long a copy may be unanswered before it is sent again. Its
	// id makes it single.
	ackWait = 2 * time.Second
	// hurry is the same after a failure to send it.
	hurry = 500 * time.Millisecond
	// maxParcels and maxBytes bound the copies that wait to be stored. The next
	// message is read when there are fewer; one alone may have any number.
	maxParcels = 4096
	maxBytes   = 64 << 20
)

// Message is one of GW_DATA whose copies are not all settled.
type Message struct {
	Seq     uint64
	Subject string
	Header  nats.Header
	Data    []byte
	Stored  time.Time

	left int
}

// Parcel is one copy on its way.
type Parcel struct {
	Message *Message
	To      *Queue
}

// Outcome is what JetStream says of a copy.
type Outcome uint8

// The outcomes.
const (
	Retry   Outcome = iota // it cannot answer now
	Kept                   // stored
	Before                 // stored before
	Full                   // the queue takes no more
	Refused                // it will never be stored
)

// lane is what waits for one queue, the first of it sent: never more than one,
// since only then nothing can overtake a copy that has to be sent again.
type lane struct {
	fifo  []Parcel
	id    uint64 // of the first
	due   time.Time
	clear chan struct{} // closed when nothing is left
}

// Lanes stores copies, in order in every queue, many queues at a time. send
// puts a parcel on its way; its answer comes to Answered.
type Lanes struct {
	send func(p Parcel, id uint64) error

	mu      sync.Mutex
	open    map[*Queue]*lane
	byID    map[uint64]*Queue
	floor   floor
	id      uint64
	parcels int
	bytes   int
	room    chan struct{} // told when there is room again
}

// NewLanes has none open.
func NewLanes(send func(Parcel, uint64) error) *Lanes {
	return &Lanes{send: send, open: map[*Queue]*lane{}, byID: map[uint64]*Queue{}, room: make(chan struct{}, 1)}
}

// Put takes a message with its copies. find is called under the lock, so that
// a queue found is one whose lane [Lanes.Drained] can see.
func (l *Lanes) Put(m *Message, find func() []*Queue, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	to := find()
	m.left = len(to)
	if m.left > 0 {
		l.parcels += len(to)
		l.bytes += len(m.Data)
	}
	l.floor.add(m)
	for _, q := range to {
		ln := l.open[q]
		if ln == nil {
			ln = &lane{clear: make(chan struct{})}
			l.open[q] = ln
		}
		ln.fifo = append(ln.fifo, Parcel{m, q})
		if len(ln.fifo) == 1 {
			l.first(q, ln, now)
		}
	}
}

// first sends the first parcel of a lane.
func (l *Lanes) first(q *Queue, ln *lane, now time.Time) {
	l.id++
	ln.id = l.id
	l.byID[ln.id] = q
	l.dispatch(ln, now)
}

func (l *Lanes) dispatch(ln *lane, now time.Time) {
	ln.due = now.Add(ackWait)
	if l.send(ln.fifo[0], ln.id) != nil {
		ln.due = now.Add(hurry)
	}
}

// Answered settles the parcel with that id, and sends the next of its lane.
func (l *Lanes) Answered(id uint64, o Outcome, now time.Time) (p Parcel, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q, ok := l.byID[id]
	if !ok {
		return Parcel{}, false // answered before
	}
	ln := l.open[q]
	p = ln.fifo[0]
	if o == Retry {
		ln.due = now.Add(hurry / 2)
		return p, false
	}
	delete(l.byID, id)
	l.settle(p)
	ln.fifo[0] = Parcel{}
	if ln.fifo = ln.fifo[1:]; len(ln.fifo) > 0 {
		l.first(q, ln, now)
	} else {
		close(ln.clear)
		delete(l.open, q)
	}
	return p, true
}

// Drop gives up what waits for a queue that is not ours any more.
func (l *Lanes) Drop(q *Queue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.open[q]
	if ln == nil {
		return
	}
	delete(l.byID, ln.id)
	delete(l.open, q)
	for _, p := range ln.fifo {
		l.settle(p)
	}
	close(ln.clear)
}

func (l *Lanes) settle(p Parcel) {
	l.parcels--
	if p.Message.left--; p.Message.left == 0 {
		l.bytes -= len(p.Message.Data)
		l.floor.rise()
	}
	if l.hasRoom() {
		select {
		case l.room <- struct{}{}:
		default:
		}
	}
}

func (l *Lanes) hasRoom() bool {
	return l.parcels < maxParcels && l.bytes < maxBytes && len(l.floor.order) < 2*maxParcels
}

// Full tells whether the next message has to wait for Room.
func (l *Lanes) Full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.hasRoom()
}

// Room has a value when there is room again.
func (l *Lanes) Room() <-chan struct{} { return l.room }

// Floor is the GW_DATA sequence up to which everything is settled.
func (l *Lanes) Floor() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.floor.seq
}

// Settled tells whether no copy waits to be stored.
func (l *Lanes) Settled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.parcels == 0
}

// Restart says that reading goes on after seq. Everything must be settled: the
// floor would pass what is not.
func (l *Lanes) Restart(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.floor.restart(seq)
}

// Sweep sends again what is overdue.
func (l *Lanes) Sweep(now time.Time) (again int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ln := range l.open {
		if !now.Before(ln.due) {
			l.dispatch(ln, now)
			again++
		}
	}
	return again
}

// Drained is closed when no copy waits for the queue; nil says that none does.
func (l *Lanes) Drained(q *Queue) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ln := l.open[q]; ln != nil {
		return ln.clear
	}
	return nil
}
