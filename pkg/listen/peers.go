package listen

import (
	"net/netip"
	"sync"
	"time"
)

// Unproven addresses cost little and go first: whoever sends from invented ones
// can fill maxUnproven places, and those of nobody else.
const (
	maxUnproven  = 4096
	unprovenTime = time.Minute
)

// peers are the addresses that a udp listener remembers.
type peers struct {
	mu     sync.RWMutex
	closed bool
	of     map[netip.AddrPort]*Peer

	// The unproven ones in their order of coming, from head to tail, with a hole
	// where one was proven or left.
	ring       []*Peer
	head, tail uint64
	unproven   int
}

func newPeers() peers {
	return peers{of: map[netip.AddrPort]*Peer{}, ring: make([]*Peer, maxUnproven)}
}

func (t *peers) get(a netip.AddrPort) *Peer {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.of[a]
}

// add remembers a new peer unless limit proven ones are there. got is who has the
// address then, nil if the table is closed; out is the unproven one that had to go.
func (t *peers) add(p *Peer, limit int) (got, out *Peer, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.of[p.addr]; old != nil || t.closed {
		return old, nil, true
	}
	if len(t.of)-t.unproven >= limit {
		return nil, nil, false
	}
	size := uint64(len(t.ring))
	for t.head != t.tail && t.ring[t.head%size] == nil {
		t.head++
	}
	if t.tail-t.head == size || len(t.of) >= limit {
		out = t.ring[t.head%size]
		t.take(out)
		t.head++
	}
	t.of[p.addr] = p
	t.ring[t.tail%size] = p
	p.slot = uint32(t.tail%size) + 1
	t.tail++
	t.unproven++
	return p, out, true
}

// take takes a peer out. t.mu is held.
func (t *peers) take(p *Peer) {
	if t.of[p.addr] == p {
		delete(t.of, p.addr)
		t.unring(p)
	}
}

func (t *peers) unring(p *Peer) {
	if p.slot != 0 {
		t.ring[p.slot-1] = nil
		p.slot = 0
		t.unproven--
	}
}

// proved is told when a peer is proven; it may be gone already.
func (t *peers) proved(p *Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unring(p)
}

func (t *peers) remove(p *Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.take(p)
}

func (t *peers) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.of)
}

// sweepStep is for how many peers the table is held at a time.
const sweepStep = 4096

// silent are the peers that were not heard for their time.
func (t *peers) silent(now, unproven, proven ticks) (out []*Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := 0
	for _, p := range t.of {
		limit := proven
		if p.slot != 0 {
			limit = unproven
		}
		if now-ticks(p.seen.Load()) >= limit {
			out = append(out, p)
		}
		if seen++; seen%sweepStep == 0 { // a map may change while it is walked
			t.mu.Unlock()
			t.mu.Lock()
		}
	}
	return out
}

// close takes nobody in any more; out are those that are there.
func (t *peers) close() (out []*Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, p := range t.of {
		out = append(out, p)
	}
	return out
}
