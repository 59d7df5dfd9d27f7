package listen

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestFloodOfInventedAddresses sends from more addresses than the table has room
// for: what it costs is bounded, and a device that was let in does not notice.
func TestFloodOfInventedAddresses(t *testing.T) {
	const flood, room = 50_000, 10_000
	c := config(UDP)
	c.MaxConnections, c.MaxConnRate = room, 1_000_000
	var pushed, wrong atomic.Int32
	h := calls{packet: func(p *Peer, b []byte) {
		if string(b) == "device" {
			proven(p, b)
		}
	}, gone: func(p *Peer, why error) {
		if pushed.Add(1); why != ErrPushedOut || p.proven {
			wrong.Add(1)
		}
	}}
	x := receive(t, c, h)
	device := x.dial(t)
	answers(t, device, "device")
	for i := range flood {
		udp{x.Packets}.take(context.Background(), h, 0, invented(i), []byte("flood"))
		if i%1000 == 0 {
			answers(t, device, "device")
			answers(t, x.dial(t), "device") // newcomers are let in as well
		}
	}
	devices := 1 + flood/1000
	require.LessOrEqual(t, x.Current(), maxUnproven+devices)
	require.Equal(t, flood, int(pushed.Load())+x.Current()-devices)
	require.Zero(t, wrong.Load())
	require.Zero(t, x.rejected(RejectMaxConnections))
	answers(t, device, "device")
}

func TestProvenPeersFillTheTable(t *testing.T) {
	c := config(UDP)
	c.MaxConnections = 3
	gone := make(chan string, 4)
	x := receive(t, c, calls{packet: proven, gone: func(p *Peer, why error) { gone <- p.String() + " " + why.Error() }})
	take := func(i int, h PacketHandler) {
		udp{x.Packets}.take(context.Background(), h, 0, invented(i), []byte("x"))
	}
	silent := calls{gone: func(p *Peer, why error) { gone <- p.String() + " " + why.Error() }}
	devices := []string{"a", "b"}
	for _, word := range devices {
		answers(t, x.dial(t), word)
	}
	take(1, silent)
	take(2, silent)
	require.Equal(t, "10.0.0.1:1884 "+ErrPushedOut.Error(), <-gone, "the unproven one makes room")
	last := x.dial(t)
	answers(t, last, "c")
	require.Equal(t, "10.0.0.2:1884 "+ErrPushedOut.Error(), <-gone)
	take(3, silent)
	require.Equal(t, 1, x.rejected(RejectMaxConnections), "all are proven")
	require.Equal(t, 3, x.Current())
	answers(t, last, "c")
}

func TestUnprovenAreSilentSooner(t *testing.T) {
	table := newPeers()
	old, fresh, known := &Peer{addr: invented(1)}, &Peer{addr: invented(2)}, &Peer{addr: invented(3)}
	for _, p := range []*Peer{old, fresh, known} {
		_, _, ok := table.add(p, 10)
		require.True(t, ok)
	}
	table.proved(known)
	fresh.seen.Store(50)
	require.Equal(t, []*Peer{old}, table.silent(100, 60, 1000))
	require.Equal(t, []*Peer{old, fresh, known}, sorted(table.silent(1000, 60, 1000)))
}

func sorted(ps []*Peer) []*Peer {
	out := make([]*Peer, len(ps))
	for _, p := range ps {
		out[p.addr.Addr().As4()[3]-1] = p
	}
	return out
}

// TestTable compares the table with what it should be after many random steps.
func TestTable(t *testing.T) {
	table := newPeers()
	table.ring = make([]*Peer, 8)
	rnd := rand.New(rand.NewPCG(1, 2))
	there, unproven := map[*Peer]bool{}, map[*Peer]bool{}
	var all []*Peer
	for step := range 100_000 {
		var some *Peer
		if len(all) > 0 {
			some = all[rnd.IntN(len(all))]
		}
		switch {
		case some == nil || rnd.IntN(3) == 0:
			p := &Peer{addr: invented(rnd.IntN(40))}
			old, full := table.get(p.addr), len(there)-len(unproven) >= 20
			got, out, ok := table.add(p, 20)
			require.Equal(t, old != nil || !full, ok)
			if old != nil {
				require.Same(t, old, got)
			}
			if out != nil {
				require.True(t, unproven[out], "step %d: only unproven ones make room", step)
				delete(there, out)
				delete(unproven, out)
			}
			if got == p {
				there[p], unproven[p] = true, true
				all = append(all, p)
			}
		case rnd.IntN(2) == 0:
			table.proved(some)
			delete(unproven, some)
		default:
			table.remove(some)
			delete(there, some)
			delete(unproven, some)
		}
		require.Equal(t, len(there), table.len())
		require.Equal(t, len(unproven), table.unproven)
		require.LessOrEqual(t, table.len(), 20)
		if len(all) > 100 {
			all = all[50:]
		}
	}
	for p := range there {
		require.Same(t, p, table.get(p.addr))
	}
	require.Empty(t, table.closeAndAdd())
}

// closeAndAdd is what a closed table says to a newcomer.
func (t *peers) closeAndAdd() []*Peer {
	t.close()
	got, out, _ := t.add(&Peer{addr: netip.MustParseAddrPort("192.0.2.1:1")}, 100)
	if got != nil || out != nil {
		return []*Peer{got, out}
	}
	return nil
}

func TestPacketRateIsPerAddress(t *testing.T) {
	b := newBuckets()
	a, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	count := func(a netip.Addr, now time.Duration) (n int) {
		for range 100 {
			if b.allow(a, now, 10) {
				n++
			}
		}
		return n
	}
	require.Equal(t, 10, count(a, time.Hour))
	require.Equal(t, 5, count(a, time.Hour+500*time.Millisecond))
	require.Equal(t, 10, count(a, 2*time.Hour), "a second is all that can be saved up")
	require.Equal(t, 10, count(other, 2*time.Hour))
	require.True(t, b.allow(a, 2*time.Hour, 0), "no limit")
	require.Equal(t, b.hash(netip.MustParseAddr("2001:db8::1")), b.hash(netip.MustParseAddr("2001:db8::ffff:1")), "one /64")
	require.NotEqual(t, b.hash(netip.MustParseAddr("2001:db8::1")), b.hash(netip.MustParseAddr("2001:db8:0:1::1")))
}

func TestNothingIsAllocatedForADatagram(t *testing.T) {
	x := receive(t, config(UDP), calls{packet: proven})
	c := x.dial(t)
	answers(t, c, "hello")
	require.NoError(t, c.SetReadDeadline(time.Time{}))
	buf := make([]byte, 64)
	per := testing.AllocsPerRun(2000, func() {
		_, _ = c.Write(buf) // loopback loses nothing of one
		_, _ = c.Read(buf)
	})
	require.Zero(t, per)
}

// TestAnIdlePeerIsSmall says what a device costs that only sleeps.
func TestAnIdlePeerIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(Peer{}), uintptr(96))
	const n = 100_000
	c := config(UDP)
	c.MaxConnRate = 1_000_000
	l, err := OpenPackets(c, nil, nil)
	require.NoError(t, err)
	heap, rss := memory(t)
	for i := range n {
		udp{l}.take(context.Background(), calls{packet: func(p *Peer, _ []byte) { p.Prove() }}, 0, invented(i), []byte("x"))
	}
	heapAfter, rssAfter := memory(t)
	require.Equal(t, n, l.Current())
	t.Logf("%d bytes of heap and %d of RSS for each of %d", (heapAfter-heap)/n, (rssAfter-rss)/n, n)
	require.Less(t, (heapAfter-heap)/n, 300)
	require.NoError(t, l.Close())
}

func memory(t *testing.T) (heap, rss int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	require.NoError(t, err)
	return int(m.HeapInuse), pages * os.Getpagesize()
}
