package authn

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	failureBurst = 30
	failureRate  = 5 // a second
	maxAddresses = 16_384
)

// budgets counts failures by address: a bucket of failureBurst that fills again
// at failureRate. Only addresses that failed are held.
type budgets struct {
	mu   sync.Mutex
	left *lru[string, bucket]
}

type bucket struct {
	left float64
	at   time.Time
}

func newBudgets() *budgets { return &budgets{left: newLRU[string, bucket](maxAddresses)} }

// allow tells whether another attempt from the address may be looked at.
func (b *budgets) allow(address string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refilled(address).left >= 1
}

// fail takes a failure off the budget. Checks under way at once may overdraw it,
// by no more than the service runs at a time.
func (b *budgets) fail(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.refilled(address)
	now.left--
	b.left.put(address, now)
}

func (b *budgets) refilled(address string) bucket {
	now := time.Now()
	old, ok := b.left.get(address)
	if !ok {
		return bucket{failureBurst, now}
	}
	return bucket{min(failureBurst, old.left+now.Sub(old.at).Seconds()*failureRate), now}
}

// addressOf is the address of a peer (ip:port or ip); of IPv6 the /64, which one
// host has all of.
func addressOf(peer string) string {
	host, _, err := net.SplitHostPort(peer)
	if err != nil {
		host = peer
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap().WithZone(""); ip.Is4() {
		return ip.String()
	}
	prefix, err := ip.Prefix(64)
	if err != nil {
		return host
	}
	return prefix.String()
}
