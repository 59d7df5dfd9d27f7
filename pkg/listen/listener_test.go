package listen

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestServesTCP(t *testing.T) {
	seen := make(chan *Conn, 1)
	x := start(t, config(TCP), func(ctx context.Context, c *Conn) {
		seen <- c
		echo(ctx, c)
	})
	nc := x.dial(t)
	ping(t, nc, "hello")
	c := <-seen
	require.Equal(t, "tcp:default", c.Listener)
	require.Equal(t, nc.LocalAddr().String(), c.RemoteAddr().String())
	require.Nil(t, c.ProxyAddr())
	_, encrypted := c.TLS()
	require.False(t, encrypted)
	require.Equal(t, 1, x.Current())
	require.NoError(t, nc.Close())
	require.Eventually(t, func() bool { return x.Current() == 0 }, patience, time.Millisecond)
}

func TestSocketOptions(t *testing.T) {
	c := config(TCP)
	c.TCP = TCPConfig{NoDelay: false, KeepAlive: "none", SendBuffer: 4096, RecvBuffer: 4096}
	x := start(t, c, echo)
	ping(t, x.dial(t), "hello")
}

func TestMaxConnections(t *testing.T) {
	c := config(TCP)
	c.MaxConnections = 2
	x := start(t, c, echo)
	a, b := x.dial(t), x.dial(t)
	ping(t, a, "a")
	ping(t, b, "b")
	x.refuses(t)
	x.waitRejected(t, RejectMaxConnections, 1)
	ping(t, a, "still there")
	require.NoError(t, a.Close())
	require.Eventually(t, func() bool { return x.Current() == 1 }, patience, time.Millisecond)
	ping(t, x.dial(t), "room again")
}

func TestMaxConnRate(t *testing.T) {
	for _, typ := range []string{TCP, WS} {
		c := config(typ)
		c.MaxConnRate = 1
		c.HandshakeTimeout = time.Minute
		x := start(t, c, echo)
		first := x.dial(t)
		require.Eventually(t, func() bool { return x.Current() == 1 }, patience, time.Millisecond)
		x.overruns(t)
		require.NoError(t, first.Close())
	}
}

// overruns connects until the rate of one a second is exceeded.
func (x *house) overruns(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		if nc, err := net.DialTimeout("tcp", x.Addr().String(), patience); err == nil {
			_ = nc.Close()
		}
		return x.get(func(c *counts) int { return c.rejected[RejectRate] }) > 0
	}, patience, time.Millisecond)
}

func TestAccessRules(t *testing.T) {
	c := config(TCP)
	c.AccessRules = []string{"deny 127.0.0.0/8", "allow all"}
	x := start(t, c, echo)
	x.refuses(t)
	x.waitRejected(t, RejectAccess, 1)
	require.Zero(t, x.get(func(c *counts) int { return c.opened }))
}

func TestProxyProtocol(t *testing.T) {
	seen := make(chan *Conn, 1)
	c := config(TCP)
	c.ProxyProtocol = true
	c.AccessRules = []string{"deny 192.0.2.66", "deny 127.0.0.1"}
	x := start(t, c, func(ctx context.Context, c *Conn) {
		seen <- c
		echo(ctx, c)
	})
	t.Run("real address", func(t *testing.T) {
		nc := x.dial(t)
		_, err := io.WriteString(nc, v2(0x21, 0x11, join(v4Block, sslTLV(3, 0))...))
		require.NoError(t, err)
		ping(t, nc, "hello")
		c := <-seen
		require.Equal(t, "192.0.2.7:12345", c.RemoteAddr().String())
		require.Equal(t, nc.LocalAddr().String(), c.ProxyAddr().String())
		require.Equal(t, "dev-1", c.CertCN)
	})
	t.Run("access rules see it", func(t *testing.T) {
		nc := x.dial(t)
		_, err := io.WriteString(nc, "PROXY TCP4 192.0.2.66 10.0.0.1 1 1\r\n")
		require.NoError(t, err)
		gone(t, nc)
		x.waitRejected(t, RejectAccess, 1)
	})
	t.Run("local has the proxy's", func(t *testing.T) {
		nc := x.dial(t)
		_, err := io.WriteString(nc, v2(0x20, 0))
		require.NoError(t, err)
		gone(t, nc)
		x.waitRejected(t, RejectAccess, 2)
	})
	t.Run("none", func(t *testing.T) {
		nc := x.dial(t)
		_, err := io.WriteString(nc, "CONNECT\naccept-version:1.2\n\n\x00")
		require.NoError(t, err)
		gone(t, nc)
		x.waitRejected(t, RejectProxy, 1)
	})
}

func TestProxyHeaderStallIsEnded(t *testing.T) {
	c := config(TCP)
	c.ProxyProtocol, c.ProxyProtocolTimeout = true, 20*time.Millisecond
	x := start(t, c, echo)
	nc := x.dial(t)
	_, err := io.WriteString(nc, "PROXY TCP4 192")
	require.NoError(t, err)
	gone(t, nc)
	x.waitRejected(t, RejectProxy, 1)
	require.Contains(t, x.logged.String(), "handshake timeout")
}

func TestProxyHeaderIsNotTrustedWhenOff(t *testing.T) {
	seen := make(chan string, 1)
	x := start(t, config(TCP), func(ctx context.Context, c *Conn) {
		seen <- c.RemoteAddr().String()
		echo(ctx, c)
	})
	nc := x.dial(t)
	ping(t, nc, "PROXY TCP4 192.0.2.7 10.0.0.1 1 1\r\n")
	require.Equal(t, nc.LocalAddr().String(), <-seen)
}

func TestCloseLetsConnectionsGoOn(t *testing.T) {
	x := start(t, config(TCP), echo)
	nc := x.dial(t)
	ping(t, nc, "before")
	require.NoError(t, x.Close())
	_, err := net.DialTimeout("tcp", x.Addr().String(), patience)
	require.Error(t, err)
	ping(t, nc, "after")
	select {
	case err := <-x.served:
		t.Fatal("Serve left a connection behind", err)
	default:
	}
	require.NoError(t, nc.Close())
	require.NoError(t, <-x.served)
}

func TestCloseWithoutServe(t *testing.T) {
	l, err := Open(config(WS), nil, nil)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.NoError(t, l.Serve(context.Background(), echo))
	require.NoError(t, l.Shutdown(context.Background(), nil))
	require.ErrorIs(t, l.Serve(context.Background(), echo), ErrServed)
}

func TestShutdownOrder(t *testing.T) {
	errWhy := errors.New("maintenance")
	said := make(chan error, 1)
	var x *house
	refused := make(chan error, 1)
	x = start(t, config(TCP), func(ctx context.Context, c *Conn) {
		ping := make([]byte, 1)
		_, _ = c.Read(ping)
		<-ctx.Done()
		_, err := net.DialTimeout("tcp", x.Addr().String(), patience)
		refused <- err
		_, _ = io.WriteString(c, "goodbye")
		said <- context.Cause(ctx)
	})
	nc := x.dial(t)
	_, err := nc.Write([]byte("x"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return x.Current() == 1 }, patience, time.Millisecond)
	require.NoError(t, x.Shutdown(context.Background(), errWhy))
	require.Error(t, <-refused, "the socket closes before devices are told")
	require.Equal(t, errWhy, <-said)
	word, err := io.ReadAll(nc)
	require.NoError(t, err)
	require.Equal(t, "goodbye", string(word))
	require.NoError(t, <-x.served)
	require.Zero(t, x.Current())
}

func TestShutdownCutsWhatIsLeft(t *testing.T) {
	a := newAuthority(t)
	for _, typ := range []string{TCP, TLS, WS, WSS} {
		t.Run(typ, func(t *testing.T) {
			begun := make(chan struct{})
			x := start(t, a.server(typ), func(ctx context.Context, c *Conn) {
				close(begun)
				stubborn(ctx, c)
			})
			nc := x.open(t, typ, a)
			<-begun
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			err := x.Shutdown(ctx, nil)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "1 connections cut")
			require.NoError(t, <-x.served)
			gone(t, nc)
		})
	}
}

func TestStuckHandlerIsAbandoned(t *testing.T) {
	release := make(chan struct{})
	x := start(t, config(TCP), func(context.Context, *Conn) { <-release })
	x.dial(t)
	require.Eventually(t, func() bool { return x.Current() == 1 }, patience, time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorContains(t, x.Shutdown(ctx, nil), "1 of 1 handlers are stuck")
	require.NoError(t, <-x.served)
	close(release)
	require.Eventually(t, func() bool { return x.get(func(c *counts) int { return c.closed }) == 1 }, patience, time.Millisecond)
}

func TestServeEndsWithItsContext(t *testing.T) {
	x := start(t, config(TCP), echo)
	nc := x.dial(t)
	ping(t, nc, "hello")
	x.cancel()
	require.NoError(t, <-x.served)
	gone(t, nc)
}

func TestUpdateInPlaceKeepsConnections(t *testing.T) {
	c := config(TCP)
	x := start(t, c, echo)
	nc := x.dial(t)
	ping(t, nc, "before")

	c.MaxConnections, c.MaxConnRate = 1, 1
	restart, err := x.Update(c)
	require.NoError(t, err)
	require.False(t, restart)
	ping(t, nc, "after")
	x.refuses(t)
	x.waitRejected(t, RejectMaxConnections, 1)

	c.MaxConnections, c.AccessRules = 10, []string{"deny all"}
	restart, err = x.Update(c)
	require.NoError(t, err)
	require.False(t, restart)
	ping(t, nc, "rules are for new ones")
	x.refuses(t)
	x.waitRejected(t, RejectAccess, 1)

	c.AccessRules = nil
	_, err = x.Update(c)
	require.NoError(t, err)
	x.overruns(t)
	ping(t, nc, "rates too")
}

func TestUpdateThatCannotBeInPlace(t *testing.T) {
	c := config(TCP)
	x := start(t, c, echo)
	for _, change := range []func(*Config){
		func(c *Config) { c.Bind = "127.0.0.1:1" },
		func(c *Config) { c.Type = WS },
		func(c *Config) { c.Name = "other" },
	} {
		other := c
		change(&other)
		other.AccessRules = []string{"deny all"}
		restart, err := x.Update(other)
		require.NoError(t, err)
		require.True(t, restart)
	}
	c.AccessRules = []string{"no"}
	_, err := x.Update(c)
	require.Error(t, err)
	ping(t, x.dial(t), "nothing has changed")
}

// TestNothingIsLeft is what the whole package's goleak says, for one that had many.
func TestNothingIsLeft(t *testing.T) {
	a := newAuthority(t)
	for _, typ := range []string{TCP, TLS, WS, WSS} {
		x := start(t, a.server(typ), echo)
		for range 20 {
			ping(t, x.open(t, typ, a), "hello")
			x.dial(t) // never says a word
		}
		require.NoError(t, x.Shutdown(context.Background(), nil))
		require.NoError(t, <-x.served)
		require.Zero(t, x.Current())
		require.Equal(t, x.get(func(c *counts) int { return c.opened }), x.get(func(c *counts) int { return c.closed }))
	}
}
