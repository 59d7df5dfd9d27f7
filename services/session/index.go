package session

import (
	"sync"

	"sluice/pkg/subject"
)

// index says which durable subscriptions a message belongs to.
type index struct {
	mu    sync.Mutex
	tree  subject.Tree[*sub]
	all   map[*sub]struct{}
	pos   uint64 // the last GW_DATA sequence that was matched
	stamp uint64
	busy  chan struct{} // has a value when a subscription came
}

// add has messages from sequence from on belong to s. What was matched already
// cannot be had any more: the result is where s really begins.
func (x *index) add(s *sub, subjects []string, from uint64) uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.hold(s, subjects, max(from, x.pos+1))
	return s.from
}

func (x *index) hold(s *sub, subjects []string, from uint64) {
	s.subjects, s.from = subjects, from
	for _, f := range subjects {
		x.tree.Add(f, s)
	}
	if x.all == nil {
		x.all = map[*sub]struct{}{}
	}
	x.all[s] = struct{}{}
	select {
	case x.busy <- struct{}{}:
	default:
	}
}

// restore is add for what a record says: the fan-out goes on where an owner
// before us was, which may be before pos.
func (x *index) restore(s *sub, subjects []string, from uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.hold(s, subjects, from)
}

func (x *index) remove(s *sub) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, f := range s.subjects {
		x.tree.Remove(f, s)
	}
	delete(x.all, s)
}

// first is where the oldest subscription begins; 0 when there is none.
func (x *index) first() (from uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for s := range x.all {
		if from == 0 || s.from < from {
			from = s.from
		}
	}
	return from
}

// match gives each subscription once, however many of its filters match.
func (x *index) match(seq uint64, subj string) (found []*sub) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pos = max(x.pos, seq)
	x.stamp++
	x.tree.Match(subj, func(s *sub) {
		if s.stamp != x.stamp && seq >= s.from {
			s.stamp = x.stamp
			found = append(found, s)
		}
	})
	return found
}

// begin says that what is at or before pos is no affair of this index.
func (x *index) begin(pos uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pos = max(x.pos, pos)
}

func (x *index) size() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.tree.Len()
}
