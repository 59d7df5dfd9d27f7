package listen

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"sluice/tests/logs"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 5 * time.Second

// counts is an Observer.
type counts struct {
	mu                     sync.Mutex
	opened, closed, panics int
	rejected               map[string]int
}

func (c *counts) Opened()           { c.add(func() { c.opened++ }) }
func (c *counts) Closed()           { c.add(func() { c.closed++ }) }
func (c *counts) Panic()            { c.add(func() { c.panics++ }) }
func (c *counts) Rejected(r string) { c.add(func() { c.rejected[r]++ }) }

func (c *counts) add(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *counts) get(f func(*counts) int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return f(c)
}

func (c *counts) waitRejected(t *testing.T, reason string, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return c.get(func(c *counts) int { return c.rejected[reason] }) == n },
		patience, time.Millisecond, "want %d rejected for %s", n, reason)
}

// house is a listener under test.
type house struct {
	*Listener
	*counts
	logged *logs.Buffer
	served chan error // gets Serve's result
	cancel context.CancelFunc
}

func config(typ string) Config {
	c := Default(typ)
	c.Name, c.Bind = "default", "127.0.0.1:0"
	return c
}

// start serves until the test's end, when nothing may be left.
func start(t *testing.T, c Config, h Handler) *house {
	t.Helper()
	x := &house{counts: &counts{rejected: map[string]int{}}, logged: &logs.Buffer{}, served: make(chan error, 1)}
	log := slog.New(slog.NewTextHandler(x.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	x.Listener, err = Open(c, log, x.counts)
	require.NoError(t, err)
	var ctx context.Context
	ctx, x.cancel = context.WithCancel(context.Background())
	go func() { x.served <- x.Serve(ctx, h) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = x.Shutdown(ctx, nil)
		x.cancel()
		<-x.done
		require.Equal(t, x.get(func(c *counts) int { return c.opened }), x.get(func(c *counts) int { return c.closed }))
	})
	return x
}

func (x *house) dial(t *testing.T) net.Conn {
	t.Helper()
	nc, err := net.DialTimeout("tcp", x.Addr().String(), patience)
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
	return nc
}

// refuses expects that a new connection is reset: some kernels tell it in connect.
func (x *house) refuses(t *testing.T) {
	t.Helper()
	nc, err := net.DialTimeout("tcp", x.Addr().String(), patience)
	if err != nil {
		require.ErrorIs(t, err, syscall.ECONNRESET)
		return
	}
	defer func() { _ = nc.Close() }()
	gone(t, nc)
}

// echo answers until the peer closes or ctx ends.
func echo(ctx context.Context, c *Conn) {
	stop := context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// stubborn holds its connection until it is cut.
func stubborn(_ context.Context, c *Conn) { _, _ = io.Copy(io.Discard, c) }

func ping(t *testing.T, nc net.Conn, word string) {
	t.Helper()
	_, err := nc.Write([]byte(word))
	require.NoError(t, err)
	buf := make([]byte, len(word))
	_, err = io.ReadFull(nc, buf)
	require.NoError(t, err)
	require.Equal(t, word, string(buf))
}

// gone expects that the other side has closed.
func gone(t *testing.T, nc net.Conn) {
	t.Helper()
	require.NoError(t, nc.SetReadDeadline(time.Now().Add(patience)))
	_, err := io.Copy(io.Discard, nc)
	require.False(t, errors.Is(err, os.ErrDeadlineExceeded), "still open")
}

// authority issues certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.key = newKey(t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &a.key.PublicKey, a.key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return key
}

func (a *authority) write(name, typ string, der []byte) {
	b := pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})
	require.NoError(a.t, os.WriteFile(a.path(name), b, 0o600))
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// issue writes <name>.pem and <name>.key.
func (a *authority) issue(name, cn string) tls.Certificate {
	key := newKey(a.t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	require.NoError(a.t, err)
	a.write(name+".pem", "CERTIFICATE", der)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(a.t, err)
	a.write(name+".key", "EC PRIVATE KEY", keyDER)
	pair, err := tls.LoadX509KeyPair(a.path(name+".pem"), a.path(name+".key"))
	require.NoError(a.t, err)
	return pair
}

func (a *authority) server(typ string) Config {
	a.issue("server", "server")
	c := config(typ)
	c.TLS.CertFile, c.TLS.KeyFile = a.path("server.pem"), a.path("server.key")
	return c
}

func (a *authority) client(certs ...tls.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", Certificates: certs}
}
