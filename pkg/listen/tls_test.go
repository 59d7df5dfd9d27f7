package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// open connects as a client of the type does, with a byte stream as the result.
func (x *house) open(t *testing.T, typ string, a *authority) net.Conn {
	t.Helper()
	switch typ {
	case TLS:
		return x.dialTLS(t, a.client())
	case WS, WSS:
		return x.dialWS(t, a.client())
	}
	return x.dial(t)
}

func (x *house) dialTLS(t *testing.T, conf *tls.Config) *tls.Conn {
	t.Helper()
	nc := tls.Client(x.dial(t), conf)
	require.NoError(t, nc.Handshake())
	return nc
}

func TestServesTLS(t *testing.T) {
	a := newAuthority(t)
	c := a.server("ssl")
	seen := make(chan *Conn, 1)
	x := start(t, c, func(ctx context.Context, c *Conn) {
		seen <- c
		echo(ctx, c)
	})
	ping(t, x.dialTLS(t, a.client()), "hello")
	s := <-seen
	require.Equal(t, "tls:default", s.Listener)
	state, encrypted := s.TLS()
	require.True(t, encrypted)
	require.Equal(t, uint16(tls.VersionTLS13), state.Version)
	require.Empty(t, s.CertCN)

	old := a.client()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	require.Error(t, tls.Client(x.dial(t), old).Handshake())
	x.waitRejected(t, RejectHandshake, 1)
}

func TestTLSHandshakeStallBlocksNobody(t *testing.T) {
	a := newAuthority(t)
	for _, typ := range []string{TLS, WSS} {
		c := a.server(typ)
		c.HandshakeTimeout = time.Second
		x := start(t, c, echo)
		var silent []net.Conn
		for range 10 {
			silent = append(silent, x.dial(t))
		}
		ping(t, x.open(t, typ, a), "at once")
		for _, nc := range silent {
			gone(t, nc)
		}
		x.waitRejected(t, RejectHandshake, 10)
	}
}

func TestHandshakeEndsWithShutdown(t *testing.T) {
	a := newAuthority(t)
	for _, typ := range []string{TLS, WS, WSS} {
		c := a.server(typ)
		c.HandshakeTimeout = time.Hour
		x := start(t, c, echo)
		nc := x.dial(t)
		require.Eventually(t, func() bool { return x.Current() == 1 }, patience, time.Millisecond)
		require.NoError(t, x.Shutdown(context.Background(), nil))
		gone(t, nc)
	}
}

func TestClientCertificate(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	c := a.server(TLS)
	c.TLS.CAFile, c.TLS.Verify = a.path("ca.pem"), VerifyPeer
	names := make(chan string, 1)
	x := start(t, c, func(ctx context.Context, c *Conn) {
		names <- c.CertCN
		echo(ctx, c)
	})
	ping(t, x.dialTLS(t, a.client(a.issue("client", "dev-1"))), "hello")
	require.Equal(t, "dev-1", <-names)
	ping(t, x.dialTLS(t, a.client()), "no certificate is fine")
	require.Empty(t, <-names)
	gone(t, tls.Client(x.dial(t), a.client(stranger.issue("client", "dev-1"))))
	x.waitRejected(t, RejectHandshake, 1)

	c.TLS.FailIfNoPeerCert = true
	restart, err := x.Update(c)
	require.NoError(t, err)
	require.False(t, restart)
	gone(t, tls.Client(x.dial(t), a.client()))
	x.waitRejected(t, RejectHandshake, 2)
}

func TestVerifyNoneTakesNoName(t *testing.T) {
	a := newAuthority(t)
	names := make(chan string, 1)
	x := start(t, a.server(TLS), func(ctx context.Context, c *Conn) {
		names <- c.CertCN
		echo(ctx, c)
	})
	ping(t, x.dialTLS(t, a.client(a.issue("client", "dev-1"))), "hello")
	require.Empty(t, <-names)
}

func TestUpdateReadsCertificatesAgain(t *testing.T) {
	a := newAuthority(t)
	c := a.server(TLS)
	x := start(t, c, echo)
	before := x.dialTLS(t, a.client())
	first := before.ConnectionState().PeerCertificates[0].SerialNumber
	a.issue("server", "server") // the same files
	restart, err := x.Update(c)
	require.NoError(t, err)
	require.False(t, restart)
	ping(t, before, "as it was")
	after := x.dialTLS(t, a.client())
	require.NotEqual(t, first, after.ConnectionState().PeerCertificates[0].SerialNumber)

	require.NoError(t, os.WriteFile(c.TLS.KeyFile, []byte("nonsense"), 0o600))
	_, err = x.Update(c)
	require.ErrorContains(t, err, "ssl_options.certfile")
	ping(t, x.dialTLS(t, a.client()), "goes on with the last good one")
}

func TestUpdateVoidsTickets(t *testing.T) {
	a := newAuthority(t)
	c := a.server(TLS)
	x := start(t, c, echo)
	conf := a.client()
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	resumed := func() bool {
		nc := x.dialTLS(t, conf)
		ping(t, nc, "the ticket comes with the first bytes")
		return nc.ConnectionState().DidResume
	}
	require.False(t, resumed())
	require.True(t, resumed())
	_, err := x.Update(c)
	require.NoError(t, err)
	require.False(t, resumed())
}

func TestTLSFilesAreReadAtOpen(t *testing.T) {
	a := newAuthority(t)
	c := a.server(TLS)
	c.TLS.CAFile, c.TLS.Verify = a.path("none.pem"), VerifyPeer
	_, err := Open(c, nil, nil)
	require.ErrorContains(t, err, "ssl_options.cacertfile")
	c.TLS.CAFile = c.TLS.KeyFile
	_, err = Open(c, nil, nil)
	require.ErrorContains(t, err, "no certificate in")
	c.TLS.CertFile = a.path("none.pem")
	_, err = Open(c, nil, nil)
	require.ErrorContains(t, err, "ssl_options.certfile")
}

func TestProxyBeforeTLS(t *testing.T) {
	a := newAuthority(t)
	c := a.server(TLS)
	c.ProxyProtocol = true
	seen := make(chan string, 1)
	x := start(t, c, func(ctx context.Context, c *Conn) {
		seen <- c.RemoteAddr().String()
		echo(ctx, c)
	})
	nc := x.dial(t)
	_, err := nc.Write([]byte("PROXY TCP4 192.0.2.7 10.0.0.1 12345 1\r\n"))
	require.NoError(t, err)
	ping(t, tls.Client(nc, a.client()), "hello")
	require.Equal(t, "192.0.2.7:12345", <-seen)
}

func TestCloseWriteLeavesReading(t *testing.T) {
	a := newAuthority(t)
	for _, typ := range []string{TCP, TLS} {
		got := make(chan string, 1)
		x := start(t, a.server(typ), func(_ context.Context, c *Conn) {
			_ = c.CloseWrite()
			buf := make([]byte, 16)
			n, _ := c.Read(buf)
			got <- string(buf[:n])
		})
		nc := x.open(t, typ, a)
		gone(t, nc)
		_, err := nc.Write([]byte("last words"))
		require.NoError(t, err)
		require.Equal(t, "last words", <-got)
	}
	require.ErrorIs(t, (&Conn{Conn: brittle{}}).CloseWrite(), errors.ErrUnsupported)
}
