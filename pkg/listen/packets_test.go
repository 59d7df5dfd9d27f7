package listen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/tests/logs"

	"github.com/stretchr/testify/require"
)

// long is for what must come; the machine may have much else to do.
const long = 20 * time.Second

// calls is a handler of functions; nil ones do nothing.
type calls struct {
	packet func(p *Peer, b []byte)
	gone   func(p *Peer, why error)
}

func (c calls) Packet(p *Peer, b []byte) {
	if c.packet != nil {
		c.packet(p, b)
	}
}

func (c calls) Gone(p *Peer, why error) {
	if c.gone != nil {
		c.gone(p, why)
	}
}

// back answers with what came.
func back(p *Peer, b []byte) { _ = p.Send(b) }

// proven is back for peers that are let in.
func proven(p *Peer, b []byte) {
	p.Prove()
	_ = p.Send(b)
}

// post is a listener for datagrams under test.
type post struct {
	*Packets
	*counts
	logged *logs.Buffer
	served chan error
	cancel context.CancelFunc
}

// receive serves until the test's end, when nothing may be left.
func receive(t *testing.T, c Config, h PacketHandler) *post {
	t.Helper()
	x := &post{counts: &counts{rejected: map[string]int{}}, logged: &logs.Buffer{}, served: make(chan error, 1)}
	log := slog.New(slog.NewTextHandler(x.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	x.Packets, err = OpenPackets(c, log, x.counts)
	require.NoError(t, err)
	var ctx context.Context
	ctx, x.cancel = context.WithCancel(context.Background())
	go func() { x.served <- x.Serve(ctx, h) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), long)
		defer cancel()
		require.NoError(t, x.Shutdown(ctx, nil))
		x.cancel()
		require.Zero(t, x.Current())
		require.Equal(t, x.get(func(c *counts) int { return c.opened }), x.get(func(c *counts) int { return c.closed }))
	})
	return x
}

func (x *post) rejected(reason string) int {
	return x.get(func(c *counts) int { return c.rejected[reason] })
}

func (x *post) waitRejected(t *testing.T, reason string) {
	t.Helper()
	require.Eventually(t, func() bool { return x.rejected(reason) > 0 }, long, time.Millisecond, "none rejected for %s", reason)
}

func (x *post) dial(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, x.Addr().(*net.UDPAddr))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// answers sends until an answer comes: datagrams may be lost.
func answers(t *testing.T, c net.Conn, word string) {
	t.Helper()
	buf := make([]byte, maxDatagram)
	require.Eventually(t, func() bool {
		if _, err := c.Write([]byte(word)); err != nil {
			return false
		}
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		n, err := c.Read(buf)
		return err == nil && string(buf[:n]) == word
	}, long, time.Millisecond)
}

// invented are addresses that nobody has.
func invented(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1884)
}

func TestServesUDP(t *testing.T) {
	seen := make(chan *Peer, 2)
	x := receive(t, config(UDP), calls{packet: func(p *Peer, b []byte) {
		if p.Value() == nil {
			p.SetValue(string(b))
			seen <- p
		}
		_ = p.Send(b)
	}})
	c := x.dial(t)
	answers(t, c, "hello")
	answers(t, c, "again")
	p := <-seen
	require.Equal(t, "udp:default", p.Listener())
	require.Equal(t, c.LocalAddr().String(), p.String())
	require.Equal(t, c.LocalAddr().String(), p.Addr().String())
	require.Equal(t, Identity{}, p.Identity())
	require.Equal(t, "hello", p.Value())
	require.Equal(t, 1, x.Current())

	p.Close()
	p.Close()
	require.Zero(t, x.Current())
	require.ErrorIs(t, p.Send(nil), ErrGone)
	answers(t, c, "later")
	require.NotSame(t, p, <-seen, "after Close it is somebody new")
}

func TestOrderIsKept(t *testing.T) {
	const n = 2000
	for _, sockets := range []int{1, 2} {
		got := make(chan byte, 2*n)
		c := config(UDP)
		c.UDP.Sockets = sockets
		x := receive(t, c, calls{packet: func(_ *Peer, b []byte) { got <- b[0] }})
		conn := x.dial(t)
		for i := range n {
			_, err := conn.Write([]byte{byte(i)})
			require.NoError(t, err)
			require.Equal(t, byte(i), <-got)
		}
		for i := range 200 { // without waiting, as many as a socket holds
			_, err := conn.Write([]byte{byte(i)})
			require.NoError(t, err)
		}
		for i := range 200 {
			require.Equal(t, byte(i), <-got)
		}
	}
}

func TestSeveralSockets(t *testing.T) {
	c := config(UDP)
	c.UDP.Sockets = 3
	c.UDP.RecvBuffer, c.UDP.SendBuffer = 1<<16, 1<<16
	x := receive(t, c, calls{packet: proven})
	for range 50 {
		answers(t, x.dial(t), "hello")
	}
	require.Equal(t, 50, x.Current())
	used := map[uint8]bool{}
	for _, p := range x.table.of {
		used[p.via] = true
	}
	require.Greater(t, len(used), 1, "the kernel spreads them")
}

func TestAnUnprovenAddressGetsNoMoreThanItSent(t *testing.T) {
	errs := make(chan error, 8)
	x := receive(t, config(UDP), calls{packet: func(p *Peer, b []byte) {
		switch string(b) {
		case "four":
			errs <- p.Send([]byte("five!"))
			errs <- p.Send([]byte("ok"))
			errs <- p.Send([]byte("ok"))
			errs <- p.Send([]byte("x"))
		case "let me in":
			p.Prove()
			errs <- p.Send(make([]byte, 1000))
		}
	}})
	c := x.dial(t)
	_, err := c.Write([]byte("four"))
	require.NoError(t, err)
	require.ErrorIs(t, <-errs, ErrUnproven)
	require.NoError(t, <-errs)
	require.NoError(t, <-errs)
	require.ErrorIs(t, <-errs, ErrUnproven, "it has had all that it sent")
	_, err = c.Write([]byte("let me in"))
	require.NoError(t, err)
	require.NoError(t, <-errs)
	require.Equal(t, 2, x.rejected(RejectUnproven))
}

func TestDatagramsThatAreNotTaken(t *testing.T) {
	heard := make(chan string, 100)
	h := calls{packet: func(_ *Peer, b []byte) { heard <- string(b[:1]) }}
	t.Run("access", func(t *testing.T) {
		c := config(UDP)
		c.AccessRules = []string{"deny 127.0.0.1"}
		x := receive(t, c, h)
		_, err := x.dial(t).Write([]byte("a"))
		require.NoError(t, err)
		x.waitRejected(t, RejectAccess)
	})
	t.Run("rate of newcomers", func(t *testing.T) {
		c := config(UDP)
		c.MaxConnRate = 1
		x := receive(t, c, h)
		require.Eventually(t, func() bool {
			_, err := x.dial(t).Write([]byte("n"))
			return err == nil && x.rejected(RejectRate) > 0
		}, long, time.Millisecond)
	})
	t.Run("rate of datagrams", func(t *testing.T) {
		c := config(UDP)
		c.MaxPacketRate = 5
		x := receive(t, c, h)
		conn := x.dial(t)
		require.Eventually(t, func() bool {
			_, err := conn.Write([]byte("r"))
			return err == nil && x.rejected(RejectPacketRate) > 3
		}, long, time.Millisecond)
	})
	t.Run("too large", func(t *testing.T) {
		c := config(UDP)
		c.UDP.MaxPacket = 100
		x := receive(t, c, h)
		conn := x.dial(t)
		_, err := conn.Write(make([]byte, 101))
		require.NoError(t, err)
		x.waitRejected(t, RejectTooLarge)
		for len(heard) > 0 {
			<-heard
		}
		_, err = conn.Write([]byte("s" + string(make([]byte, 99))))
		require.NoError(t, err)
		require.Equal(t, "s", <-heard)
	})
}

func TestTheLargestDatagram(t *testing.T) {
	x := receive(t, config(UDP), calls{packet: back})
	answers(t, x.dial(t), string(make([]byte, 65507)))
}

func TestSilentPeersAreForgotten(t *testing.T) {
	why := make(chan error, 1)
	c := config(UDP)
	c.PeerIdle = time.Second
	x := receive(t, c, calls{packet: proven, gone: func(p *Peer, err error) {
		if p.Send([]byte("x")) == ErrGone {
			why <- err
		}
	}})
	answers(t, x.dial(t), "hello")
	require.ErrorIs(t, <-why, ErrSilent)
	require.Zero(t, x.Current())
}

func TestPanicEndsOnePeer(t *testing.T) {
	c := config(UDP)
	c.PeerIdle = time.Second
	x := receive(t, c, calls{packet: func(p *Peer, b []byte) {
		if string(b) == "!" {
			panic("boom")
		}
		proven(p, b)
	}, gone: func(*Peer, error) { panic("boom again") }})
	good := x.dial(t)
	answers(t, good, "hello")
	_, err := x.dial(t).Write([]byte("!"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return x.get(func(c *counts) int { return c.panics }) > 1 }, long, time.Millisecond)
	require.Contains(t, x.logged.String(), "packets_test.go", "the stack tells where")
	answers(t, good, "still here")
}

func TestPacketsEnd(t *testing.T) {
	t.Run("close", func(t *testing.T) {
		x := receive(t, config(UDP), calls{packet: proven, gone: func(*Peer, error) { panic("nobody is told") }})
		answers(t, x.dial(t), "hello")
		require.NoError(t, x.Close())
		require.NoError(t, x.Close())
		require.NoError(t, <-x.served)
		require.Zero(t, x.get(func(c *counts) int { return c.panics }))
		require.ErrorIs(t, x.Serve(context.Background(), calls{}), ErrServed)
	})
	t.Run("ctx", func(t *testing.T) {
		x := receive(t, config(UDP), calls{packet: back})
		answers(t, x.dial(t), "hello")
		x.cancel()
		require.NoError(t, <-x.served)
	})
	t.Run("socket closed by others", func(t *testing.T) {
		x := receive(t, config(UDP), calls{packet: back})
		answers(t, x.dial(t), "hello")
		require.NoError(t, x.sockets[0].Close())
		require.NoError(t, <-x.served)
	})
	t.Run("without serve", func(t *testing.T) {
		l, err := OpenPackets(config(UDP), nil, nil)
		require.NoError(t, err)
		require.NoError(t, l.Close())
		require.NoError(t, l.Shutdown(context.Background(), nil))
		require.NoError(t, l.Serve(context.Background(), calls{}))
	})
	t.Run("stuck handler", func(t *testing.T) {
		begun, release := make(chan struct{}), make(chan struct{})
		x := receive(t, config(UDP), calls{packet: func(*Peer, []byte) {
			close(begun)
			<-release
		}})
		_, err := x.dial(t).Write([]byte("x"))
		require.NoError(t, err)
		<-begun
		ctx, cancel := context.WithTimeoutCause(context.Background(), time.Millisecond, errors.New("power"))
		defer cancel()
		require.ErrorContains(t, x.Shutdown(ctx, nil), "power")
		close(release)
		require.NoError(t, <-x.served)
	})
}

func TestUpdatePackets(t *testing.T) {
	x := receive(t, config(UDP), calls{packet: proven})
	c := x.dial(t)
	answers(t, c, "hello")
	next := config(UDP)
	next.MaxConnections, next.MaxConnRate, next.AccessRules = 1, 7, []string{"allow all"}
	restart, err := x.Update(next)
	require.NoError(t, err)
	require.False(t, restart)
	_, err = x.dial(t).Write([]byte("one too many"))
	require.NoError(t, err)
	x.waitRejected(t, RejectMaxConnections)
	answers(t, c, "known")

	for _, change := range []func(*Config){
		func(c *Config) { c.Bind = "127.0.0.1:1" },
		func(c *Config) { c.Name = "other" },
		func(c *Config) { c.UDP.Sockets = 2 },
		func(c *Config) { c.UDP.RecvBuffer = 1 },
	} {
		next := config(UDP)
		change(&next)
		restart, err := x.Update(next)
		require.NoError(t, err)
		require.True(t, restart)
	}
	_, err = x.Update(Config{Type: UDP})
	require.ErrorContains(t, err, "bind")
}

func TestOpenPacketsRefuses(t *testing.T) {
	_, err := OpenPackets(config(TCP), nil, nil)
	require.ErrorContains(t, err, "not for datagrams")
	_, err = Open(config(UDP), nil, nil)
	require.ErrorContains(t, err, "is for datagrams")
	l, err := OpenPackets(config(UDP), nil, nil)
	require.NoError(t, err)
	c := config(UDP)
	c.Bind = l.Addr().String()
	_, err = OpenPackets(c, nil, nil)
	require.ErrorContains(t, err, "bind", "the port is taken")
	c.UDP.Sockets = 2
	_, err = OpenPackets(c, nil, nil)
	require.ErrorContains(t, err, "bind", "and shared only with itself")
	require.NoError(t, l.Close())
}

// TestCallsOfOnePeerDoNotOverlap has readers, sweeps and evictions meet at one
// peer; what they touch has no lock, so that the race detector sees them too.
func TestCallsOfOnePeerDoNotOverlap(t *testing.T) {
	inside := map[*Peer]*int{}
	var guard sync.Mutex
	var overlaps, gone atomic.Int32
	visit := func(p *Peer) {
		guard.Lock()
		n := inside[p]
		if n == nil {
			n = new(int)
			inside[p] = n
		}
		guard.Unlock()
		if *n++; *n != 1 {
			overlaps.Add(1)
		}
		*n--
	}
	l, err := OpenPackets(config(UDP), nil, nil)
	require.NoError(t, err)
	h := calls{packet: func(p *Peer, _ []byte) { visit(p) }, gone: func(p *Peer, _ error) { gone.Add(1); visit(p) }}
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for i := range 2000 {
				udp{l}.take(context.Background(), h, 0, invented(i%3), []byte("x"))
			}
		})
		running.Go(func() {
			for i := range 2000 {
				if p := l.table.get(invented(i % 3)); p != nil {
					l.drop(h, p, ErrSilent)
				}
			}
		})
	}
	running.Wait()
	require.Zero(t, overlaps.Load())
	require.Positive(t, gone.Load())
	require.NoError(t, l.Close())
}
