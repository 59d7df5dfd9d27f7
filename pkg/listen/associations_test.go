package listen

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/stretchr/testify/require"
)

// moving is a device's socket that can change its port, as behind a NAT.
type moving struct {
	t  *testing.T
	mu sync.Mutex
	*net.UDPConn
	old []*net.UDPConn
}

func (m *moving) now() *net.UDPConn {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.UDPConn
}

func (m *moving) move() {
	s := socket(m.t)
	m.mu.Lock()
	m.old, m.UDPConn = append(m.old, m.UDPConn), s
	old := m.old[len(m.old)-1]
	m.mu.Unlock()
	_ = old.SetReadDeadline(time.Unix(1, 0)) // who reads there reads on at the new one
}

func (m *moving) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		s := m.now()
		n, a, err := s.ReadFrom(b)
		if err == nil || s == m.now() {
			return n, a, err
		}
	}
}

func (m *moving) WriteTo(b []byte, to net.Addr) (int, error) { return m.now().WriteTo(b, to) }
func (m *moving) SetReadDeadline(t time.Time) error          { return m.now().SetReadDeadline(t) }

func TestConnectionIDKeepsTheAssociation(t *testing.T) {
	peers := make(chan *Peer, 1000)
	x := receive(t, withPSK(t), calls{packet: func(p *Peer, b []byte) {
		peers <- p
		_ = p.Send(b)
	}})
	m := &moving{t: t, UDPConn: socket(t)}
	c, err := x.over(m, device1(dtls.WithConnectionIDGenerator(dtls.OnlySendCIDGenerator()))...)
	require.NoError(t, err)
	answers(t, c, "here")
	p := <-peers
	for range 3 {
		m.move()
		answers(t, c, "there")
		require.Equal(t, m.now().LocalAddr().String(), p.String())
	}
	require.Equal(t, 1, x.Current())

	// The first port is somebody else's now.
	require.NoError(t, m.old[0].SetReadDeadline(time.Time{}))
	stranger, err := x.over(m.old[0], device1()...)
	require.NoError(t, err)
	answers(t, stranger, "somebody else")
	answers(t, c, "and I")
	require.Equal(t, 2, x.Current())
	require.NoError(t, stranger.Close())
	require.NoError(t, c.Close())
	for len(peers) > 0 {
		if q := <-peers; q != p {
			require.Equal(t, m.old[0].LocalAddr().String(), q.Addr().String())
		}
	}
	require.Eventually(t, func() bool { return x.Current() == 0 }, long, time.Millisecond)
	require.Empty(t, x.assocs.byID)
	require.Empty(t, x.assocs.byAddr)
}

func TestWithoutConnectionIDAMoveIsNotBelieved(t *testing.T) {
	c := withPSK(t)
	c.TLS.ConnectionID = false
	x := receive(t, c, calls{packet: back})
	m := &moving{t: t, UDPConn: socket(t)}
	conn, err := x.over(m, device1(dtls.WithConnectionIDGenerator(dtls.OnlySendCIDGenerator()))...)
	require.NoError(t, err)
	answers(t, conn, "here")
	m.move()
	_, err = conn.Write([]byte("there"))
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	_, err = conn.Read(make([]byte, 10))
	require.Error(t, err)
	require.NoError(t, conn.Close())
}

// TestADeviceBeginsAgainFromItsPort is one that lost power, and uses a fixed port.
func TestADeviceBeginsAgainFromItsPort(t *testing.T) {
	gone, peers := make(chan error, 1), make(chan *Peer, 100)
	x := receive(t, withPSK(t), calls{
		packet: func(p *Peer, b []byte) { peers <- p; _ = p.Send(b) },
		gone: func(p *Peer, why error) {
			if p.Send(nil) == ErrGone {
				gone <- why
			}
		},
	})
	port := socket(t)
	first, err := x.over(deaf{port}, device1()...)
	require.NoError(t, err)
	answers(t, first, "before")
	p := <-peers
	_ = first.Close() // which the deaf socket does not let out
	require.Equal(t, 1, x.Current())

	second, err := x.over(port, device1()...)
	require.NoError(t, err)
	answers(t, second, "after")
	require.ErrorIs(t, <-gone, ErrReplaced)
	require.NotSame(t, p, <-peers)
	require.Eventually(t, func() bool { return x.Current() == 1 }, long, time.Millisecond)
	answers(t, second, "still")
	require.NoError(t, second.Close())
}

// deaf is a socket that outlives its association and sends no alert.
type deaf struct{ *net.UDPConn }

func (d deaf) Close() error { return nil }

func (d deaf) WriteTo(b []byte, to net.Addr) (int, error) {
	const alert = 21
	if b[0] == alert {
		return len(b), nil
	}
	return d.UDPConn.WriteTo(b, to)
}

func TestGoodbyes(t *testing.T) {
	gone, peers := make(chan error, 1), make(chan *Peer, 100)
	x := receive(t, withPSK(t), calls{
		packet: func(p *Peer, b []byte) { _ = p.Send(b); peers <- p },
		gone:   func(_ *Peer, why error) { gone <- why },
	})
	t.Run("the device's", func(t *testing.T) {
		c := x.secure(t, device1()...)
		answers(t, c, "hello")
		<-peers
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-gone, io.EOF)
		require.Eventually(t, func() bool { return x.Current() == 0 }, long, time.Millisecond)
	})
	ends := func(t *testing.T, c *dtls.Conn) {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(long)))
		for {
			if _, err := c.Read(make([]byte, 100)); err != nil {
				require.ErrorIs(t, err, io.EOF)
				return
			}
		}
	}
	t.Run("the edge's", func(t *testing.T) {
		c := x.secure(t, device1()...)
		answers(t, c, "hello")
		p := <-peers
		p.Close()
		ends(t, c)
		require.ErrorIs(t, p.Send(nil), ErrGone)
	})
	t.Run("the listener's", func(t *testing.T) {
		c := x.secure(t, device1()...)
		answers(t, c, "hello")
		require.NoError(t, x.Shutdown(context.Background(), nil))
		require.NoError(t, <-x.served)
		ends(t, c)
	})
	require.Empty(t, gone, "nobody is told of what it did itself")
}

func TestSilentAssociationsAreForgotten(t *testing.T) {
	why := make(chan error, 1)
	c := withPSK(t)
	c.PeerIdle = time.Second
	x := receive(t, c, calls{packet: back, gone: func(_ *Peer, err error) { why <- err }})
	answers(t, x.secure(t, device1()...), "hello")
	require.ErrorIs(t, <-why, ErrSilent)
	require.Eventually(t, func() bool { return x.Current() == 0 }, long, time.Millisecond)
}

func TestPanicEndsOneAssociation(t *testing.T) {
	x := receive(t, withPSK(t), calls{packet: func(p *Peer, b []byte) {
		if string(b) == "!" {
			panic("boom")
		}
		_ = p.Send(b)
	}})
	good, bad := x.secure(t, device1()...), x.secure(t, device1()...)
	answers(t, good, "hello")
	_, err := bad.Write([]byte("!"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return x.Current() == 1 }, long, time.Millisecond)
	require.Equal(t, 1, x.get(func(c *counts) int { return c.panics }))
	answers(t, good, "still here")
}

// hello is the first flight of a device.
func hello(t *testing.T) []byte {
	t.Helper()
	here, there := socket(t), socket(t)
	c, err := dtls.ClientWithOptions(there, here.LocalAddr(), device1()...)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.HandshakeContext(ctx) }()
	buf := make([]byte, 2000)
	n, err := here.Read(buf)
	require.NoError(t, err)
	cancel()
	require.Error(t, <-done)
	require.NoError(t, c.Close())
	return buf[:n]
}

// nobody is an address that can be sent to, where nobody listens.
func nobody(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 9, byte(i >> 8), byte(i)}), 9)
}

func TestHandshakeIsNoAmplifier(t *testing.T) {
	c := withPSK(t)
	c.HandshakeTimeout = 3 * time.Second
	x := receive(t, c, calls{})
	first := hello(t)
	conn := x.dial(t)
	_, err := conn.Write(first)
	require.NoError(t, err)
	x.waitRejected(t, RejectHandshake) // it has had all the time that it gets
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(200*time.Millisecond)))
	buf, sum := make([]byte, 2000), 0
	for {
		n, err := conn.Read(buf)
		if err != nil {
			break
		}
		if sum == 0 {
			const helloVerifyRequest = 3
			require.EqualValues(t, helloVerifyRequest, buf[recordHeader])
		}
		sum += n
	}
	require.Positive(t, sum)
	require.LessOrEqual(t, sum, len(first))
}

// TestFloodOfHandshakes begins handshakes from invented addresses: those under
// way are bounded, and devices get in and stay.
func TestFloodOfHandshakes(t *testing.T) {
	c := withPSK(t)
	c.MaxConnRate, c.MaxConnections = 1_000_000, 1000
	x := receive(t, c, calls{packet: back})
	device := x.secure(t, device1()...)
	answers(t, device, "before")
	first := hello(t)
	most := 0
	for i := range 3 * maxStrangers {
		x.assocs.take(context.Background(), calls{}, 0, nobody(i), first)
		most = max(most, x.Current())
		if i%500 == 0 {
			answers(t, x.secure(t, device1()...), "during")
			answers(t, device, "during")
		}
	}
	require.LessOrEqual(t, most, maxStrangers+10)
	require.GreaterOrEqual(t, x.rejected(RejectMaxConnections), maxStrangers)
	answers(t, device, "after")
}

func TestDTLSLimits(t *testing.T) {
	t.Run("max_connections", func(t *testing.T) {
		c := withPSK(t)
		c.MaxConnections = 1
		x := receive(t, c, calls{packet: back})
		device := x.secure(t, device1()...)
		answers(t, device, "hello")
		_, err := x.dial(t).Write(hello(t))
		require.NoError(t, err)
		x.waitRejected(t, RejectMaxConnections)
		answers(t, device, "still")
	})
	t.Run("access", func(t *testing.T) {
		c := withPSK(t)
		c.AccessRules = []string{"deny all"}
		x := receive(t, c, calls{})
		_, err := x.dial(t).Write(hello(t))
		require.NoError(t, err)
		x.waitRejected(t, RejectAccess)
		require.Zero(t, x.Current())
	})
	t.Run("too large", func(t *testing.T) {
		x := receive(t, withPSK(t), calls{})
		_, err := x.dial(t).Write(make([]byte, maxSecure+1))
		require.NoError(t, err)
		x.waitRejected(t, RejectTooLarge)
	})
	t.Run("inbox", func(t *testing.T) {
		c := withPSK(t)
		c.TLS.ConnectionID = false
		release, begun := make(chan struct{}), make(chan struct{}, 1000)
		x := receive(t, c, calls{packet: func(*Peer, []byte) {
			begun <- struct{}{}
			<-release
		}})
		conn := x.secure(t, device1()...)
		require.Eventually(t, func() bool {
			_, err := conn.Write([]byte("x"))
			return err == nil && x.rejected(RejectPacketRate) > 0
		}, long, 100*time.Microsecond)
		<-begun
		close(release)
	})
}

// TestJunkMakesNoAssociation sends what is not dtls, and all short beginnings of
// what is.
func TestJunkMakesNoAssociation(t *testing.T) {
	x := receive(t, withPSK(t), calls{})
	first := hello(t)
	take := func(b []byte) { x.assocs.take(context.Background(), calls{}, 0, nobody(1), b) }
	for n := range recordHeader + 1 {
		take(first[:n])
	}
	for typ := range 256 {
		junk := append([]byte(nil), first...)
		if junk[0] = byte(typ); typ != typeHandshake {
			take(junk)
			take(junk[:recordHeader+1])
		}
	}
	require.Zero(t, x.Current())
	take(first)
	require.Equal(t, 1, x.Current())
}

func TestStrangersAreGivenUp(t *testing.T) {
	c := withPSK(t)
	c.HandshakeTimeout = 50 * time.Millisecond
	x := receive(t, c, calls{})
	_, err := x.dial(t).Write(hello(t))
	require.NoError(t, err)
	x.waitRejected(t, RejectHandshake)
	require.Eventually(t, func() bool { return x.Current() == 0 }, long, time.Millisecond)
	require.Contains(t, x.logged.String(), context.DeadlineExceeded.Error())
}

func TestShutdownEndsHandshakes(t *testing.T) {
	x := receive(t, withPSK(t), calls{})
	first := hello(t)
	for i := range 100 {
		x.assocs.take(context.Background(), calls{}, 0, nobody(i), first)
	}
	require.NoError(t, x.Shutdown(context.Background(), errors.New("maintenance")))
	require.NoError(t, <-x.served)
	require.Zero(t, x.Current())
	require.Zero(t, x.rejected(RejectHandshake), "nobody was refused")
}
