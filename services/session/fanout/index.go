package fanout

import (
	"slices"
	"strings"
	"sync"

	"sluice/pkg/subject"
)

// Queue is one queue of a client, as the index and the lanes know it. It is
// embedded in what it belongs to, which Owner leads back to.
type Queue struct {
	Name  string // subject of GW_QUEUE
	Owner any

	// These belong to the index.
	subjects []string // filters of what goes into it
	from     uint64   // first GW_DATA sequence that does
	stamp    uint64
	gen      uint64
	held     bool
}

// Subjects are the filters under which the queue stands; not to be changed.
func (q *Queue) Subjects() []string { return q.subjects }

// From is the first GW_DATA sequence that belongs to the queue.
func (q *Queue) From() uint64 { return q.from }

// Index says into which queues a message goes. Most filters of devices have no
// wildcard and one queue: those cost one entry of a map, not branches of a tree.
type Index struct {
	mu    sync.Mutex
	exact map[string][]*Queue
	tree  subject.Tree[*Queue] // filters with wildcards
	size  int                  // queues
	pos   uint64               // the last GW_DATA sequence that was matched
	first uint64               // where the oldest queue begins that came since there was none
	stamp uint64
	busy  chan struct{} // has a value when a queue came

	// When reading begins anew at an earlier place, messages up to done have been
	// matched already for all queues but those of generation late and after. gen is
	// that of queues that are restored now: they wait for the next Begin.
	done, late, gen uint64
}

// NewIndex is an empty one.
func NewIndex() *Index {
	return &Index{exact: map[string][]*Queue{}, busy: make(chan struct{}, 1), gen: 1}
}

// Busy has a value when a queue came, for a reader that idles.
func (x *Index) Busy() <-chan struct{} { return x.busy }

// Add has messages from sequence from on go into q. What was matched already
// cannot be had any more: the result is where q really begins.
func (x *Index) Add(q *Queue, subjects []string, from uint64) uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	q.gen = 0
	x.hold(q, subjects, max(from, x.pos+1, x.done+1))
	return q.from
}

// Restore is Add for what a record says: the fan-out goes on where an owner
// before us was, which may be before what was matched here. A Begin there follows.
func (x *Index) Restore(q *Queue, subjects []string, from uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	q.gen = x.gen
	x.hold(q, subjects, from)
}

// behind tells whether messages are matched for the second time.
func (x *Index) behind() bool { return x.pos < x.done }

// Begin says that reading goes on after pos: what comes again is only for queues
// that were restored since the last Begin.
func (x *Index) Begin(pos uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if pos < x.pos && !x.behind() {
		x.done, x.late = x.pos, x.gen
	}
	x.pos = pos
	x.gen++
}

func (x *Index) hold(q *Queue, subjects []string, from uint64) {
	q.subjects, q.from = subjects, from
	for _, f := range subjects {
		x.put(f, q)
	}
	if !q.held {
		q.held = true
		if x.size++; x.size == 1 {
			x.first = q.from
		}
	}
	x.first = min(x.first, q.from)
	select {
	case x.busy <- struct{}{}:
	default:
	}
}

func (x *Index) put(filter string, q *Queue) {
	if wild(filter) {
		x.tree.Add(filter, q)
		return
	}
	x.exact[filter] = append(slices.Clip(x.exact[filter]), q)
}

// Change gives q other filters; it goes on where it is.
func (x *Index) Change(q *Queue, subjects []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, f := range q.subjects {
		x.take(f, q)
	}
	q.subjects = subjects
	for _, f := range subjects {
		x.put(f, q)
	}
}

// Remove ends what goes into q.
func (x *Index) Remove(q *Queue) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, f := range q.subjects {
		x.take(f, q)
	}
	if q.held {
		q.held = false
		x.size--
	}
}

func (x *Index) take(filter string, q *Queue) {
	if wild(filter) {
		x.tree.Remove(filter, q)
		return
	}
	left := slices.DeleteFunc(slices.Clone(x.exact[filter]), func(o *Queue) bool { return o == q })
	if len(left) == 0 {
		delete(x.exact, filter)
		return
	}
	x.exact[filter] = slices.Clip(left)
}

// Match gives each queue once, however many of its filters match.
func (x *Index) Match(seq uint64, subj string) (found []*Queue) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pos = max(x.pos, seq)
	x.stamp++
	take := func(q *Queue) {
		if q.stamp != x.stamp && seq >= q.from && q.gen < x.gen && (seq > x.done || q.gen >= x.late) {
			q.stamp = x.stamp
			found = append(found, q)
		}
	}
	for _, q := range x.exact[subj] {
		take(q)
	}
	x.tree.Match(subj, take)
	return found
}

// First is where the oldest queue begins; messages before it are nobody's.
func (x *Index) First() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.first
}

// Size is the number of queues.
func (x *Index) Size() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.size
}

func wild(filter string) bool {
	return strings.HasSuffix(filter, ">") || strings.Contains(filter, "*")
}
