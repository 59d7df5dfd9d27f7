package session

import (
	"sync"

	"sluice/pkg/subject"
)

// index says which durable subscriptions a message belongs to.
type index struct {
	mu    sync.Mutex
	tree  subject.Tree[*sub]
	pos   uint64 // the last GW_DATA sequence that was matched
	stamp uint64
}

// add has messages from sequence from on belong to s. What was matched already
// cannot be had any more: the result is where s really begins.
func (x *index) add(s *sub, subjects []string, from uint64) uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	s.subjects, s.from = subjects, max(from, x.pos+1)
	for _, f := range subjects {
		x.tree.Add(f, s)
	}
	return s.from
}

// restore is add for what a record says: the fan-out goes on where an owner
// before us was, which may be before pos.
func (x *index) restore(s *sub, subjects []string, from uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s.subjects, s.from = subjects, from
	for _, f := range subjects {
		x.tree.Add(f, s)
	}
}

func (x *index) remove(s *sub) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, f := range s.subjects {
		x.tree.Remove(f, s)
	}
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
