package session

import "sync"

// handles name queues in the addresses of answers: short, and never used twice.
type handles struct {
	mu   sync.RWMutex
	subs map[uint64]*sub
	last uint64
}

func newHandles() *handles { return &handles{subs: map[uint64]*sub{}} }

func (h *handles) add(s *sub) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	h.subs[h.last] = s
	return h.last
}

func (h *handles) drop(n uint64) {
	if n == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, n)
}

func (h *handles) get(n uint64) *sub {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.subs[n]
}

// all are the queues that are delivered at this moment.
func (h *handles) all() []*sub {
	h.mu.RLock()
	defer h.mu.RUnlock()
	all := make([]*sub, 0, len(h.subs))
	for _, s := range h.subs {
		all = append(all, s)
	}
	return all
}
