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
	sweepPeers   = 10 * time.Second
)

// peers are the addresses that a udp listener remembers.
type peers struct {
	mu       sync.RWMutex
	of       map[netip.AddrPort]*Peer
	unproven []*Peer // oldest first, with some that are proven or gone by now
	waiting  int     // unproven ones
}

func (t *peers) get(a netip.AddrPort) *Peer {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.of[a]
}

// add remembers a new peer unless limit proven ones are there; out is the
// unproven one that had to go for it.
func (t *peers) add(p *Peer, limit int) (out *Peer, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.of)-t.waiting >= limit {
		return nil, false
	}
	if t.waiting >= maxUnproven || len(t.of) >= limit {
		out = t.oldest()
	}
	t.of[p.addr] = p
	t.unproven = append(t.unproven, p)
	t.waiting++
	return out, true
}

// oldest takes the oldest unproven peer out. t.mu is held.
func (t *peers) oldest() *Peer {
	for len(t.unproven) > 0 {
		p := t.unproven[0]
		t.unproven[0] = nil
		t.unproven = t.unproven[1:]
		if t.of[p.addr] == p && !p.isProven() {
			delete(t.of, p.addr)
			t.waiting--
			return p
		}
	}
	return nil
}

func (p *Peer) isProven() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proven
}

// proved is told once for a peer that is there.
func (t *peers) proved(p *Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[p.addr] == p {
		t.waiting--
	}
}

func (t *peers) remove(p *Peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[p.addr] != p {
		return
	}
	delete(t.of, p.addr)
	if !p.isProven() {
		t.waiting--
	}
}

func (t *peers) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.of)
}

// silent are the peers that have not been heard for long: it is their time to go.
func (t *peers) silent(now, idle time.Duration) (out []*Peer) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, p := range t.of {
		limit := idle
		if !p.isProven() {
			limit = min(idle, unprovenTime)
		}
		if now-time.Duration(p.seen.Load()) >= limit {
			out = append(out, p)
		}
	}
	return out
}

// buckets limit the datagrams of each IP address in fixed memory: addresses
// share a bucket by chance, never a flood its place with all others.
type buckets struct {
	of [4096]struct {
		tokens float64
		last   time.Duration
	}
}

// allow takes a token of an address. One goroutine calls it.
func (b *buckets) allow(a netip.Addr, now time.Duration, perSecond int) bool {
	h := uint32(2166136261)
	bytes := a.As16()
	n := 16
	if !a.Is4() && !a.Is4In6() {
		n = 8 // a network of IPv6 is one source
	}
	for _, c := range bytes[:n] {
		h = (h ^ uint32(c)) * 16777619
	}
	k := &b.of[h%uint32(len(b.of))]
	burst := float64(perSecond)
	k.tokens = min(burst, k.tokens+(now-k.last).Seconds()*burst)
	if k.last == 0 {
		k.tokens = burst
	}
	k.last = max(now, 1)
	if k.tokens < 1 {
		return false
	}
	k.tokens--
	return true
}
