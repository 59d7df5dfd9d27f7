package listen

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// buckets limit the datagrams of each IP address in fixed memory: addresses can
// share a bucket by chance, which nobody can steer, for the hash has a seed of
// its own in each listener.
//
// A bucket is the time at which all that it took would have been paid for at the
// given rate; it may be ahead of now by a second, the burst.
type buckets struct {
	seed maphash.Seed
	paid [1 << 14]atomic.Int64
}

func newBuckets() *buckets { return &buckets{seed: maphash.MakeSeed()} }

// allow counts a datagram of an address at a time, unless it is one too many.
func (b *buckets) allow(a netip.Addr, now time.Duration, perSecond int) bool {
	if perSecond == 0 {
		return true
	}
	k := &b.paid[b.hash(a)%uint64(len(b.paid))]
	price := max(int64(time.Second)/int64(perSecond), 1)
	for {
		paid := k.Load()
		next := max(paid, int64(now)) + price
		if next-int64(now) > int64(time.Second) {
			return false
		}
		if k.CompareAndSwap(paid, next) {
			return true
		}
	}
}

// hash is the same for all of a /64 of IPv6: one subscriber has that many.
func (b *buckets) hash(a netip.Addr) uint64 {
	ip := a.As16()
	if a.Is6() {
		return maphash.Bytes(b.seed, ip[:8])
	}
	return maphash.Bytes(b.seed, ip[8:])
}
