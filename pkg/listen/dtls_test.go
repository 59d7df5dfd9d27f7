package listen

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/stretchr/testify/require"
)

const (
	keyHex = "c0ffee00c0ffee00c0ffee00c0ffee00"
	other  = "0123456789abcdef"
)

// withPSK is a dtls listener that knows the device "urn:dev:1".
func withPSK(t *testing.T) Config {
	c := config(DTLS)
	c.TLS.PSKFile = filepath.Join(t.TempDir(), "psk")
	require.NoError(t, os.WriteFile(c.TLS.PSKFile, []byte("# devices\nurn:dev:1:"+keyHex+"\n\n"), 0o600))
	return c
}

func identified(identity, key string) []dtls.ClientOption {
	return []dtls.ClientOption{
		dtls.WithPSK(func([]byte) ([]byte, error) { return []byte(key), nil }),
		dtls.WithPSKIdentityHint([]byte(identity)),
		dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8),
	}
}

func device1(more ...dtls.ClientOption) []dtls.ClientOption {
	key := []byte{0xc0, 0xff, 0xee, 0, 0xc0, 0xff, 0xee, 0, 0xc0, 0xff, 0xee, 0, 0xc0, 0xff, 0xee, 0}
	return append(identified("urn:dev:1", string(key)), more...)
}

// socket is the device's; it is closed with the test if not before.
func socket(t *testing.T) *net.UDPConn {
	t.Helper()
	s, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// over does the handshake of a device over a socket of its own.
func (x *post) over(s net.PacketConn, opts ...dtls.ClientOption) (*dtls.Conn, error) {
	c, err := dtls.ClientWithOptions(s, x.Addr(), opts...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (x *post) secure(t *testing.T, opts ...dtls.ClientOption) *dtls.Conn {
	t.Helper()
	c, err := x.over(socket(t), opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestDTLSWithPSK(t *testing.T) {
	for _, suite := range []dtls.CipherSuiteID{
		dtls.TLS_PSK_WITH_AES_128_CCM_8, dtls.TLS_PSK_WITH_AES_128_CCM, dtls.TLS_PSK_WITH_AES_128_GCM_SHA256,
		dtls.TLS_PSK_WITH_AES_128_CBC_SHA256, dtls.TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256,
	} {
		t.Run(suite.String(), func(t *testing.T) {
			seen := make(chan *Peer, 10)
			x := receive(t, withPSK(t), calls{packet: func(p *Peer, b []byte) {
				seen <- p
				_ = p.Send(append(b, b...)) // it needs no Prove
			}})
			c := x.secure(t, device1(dtls.WithCipherSuites(suite))...)
			_, err := c.Write([]byte("hello"))
			require.NoError(t, err)
			buf := make([]byte, 100)
			n, err := c.Read(buf)
			require.NoError(t, err)
			require.Equal(t, "hellohello", string(buf[:n]))
			p := <-seen
			require.Equal(t, Identity{PSK: "urn:dev:1"}, p.Identity())
			require.Equal(t, "dtls:default", p.Listener())
			require.Equal(t, c.LocalAddr().String(), p.String())
			require.Equal(t, c.LocalAddr().String(), p.Addr().String())
			require.Equal(t, 1, x.Current())
			require.ErrorContains(t, p.Send(make([]byte, maxRecord+1)), "do not fit")
		})
	}
}

// rsaServer replaces the server's key by one of RSA.
func (a *authority) rsaServer() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(a.t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "server"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	require.NoError(a.t, err)
	a.write("server.pem", "CERTIFICATE", der)
	a.write("server.key", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

func (a *authority) dtls(certs ...tls.Certificate) []dtls.ClientOption {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	opts := []dtls.ClientOption{dtls.WithRootCAs(pool), dtls.WithServerName("127.0.0.1")}
	if len(certs) > 0 {
		opts = append(opts, dtls.WithCertificates(certs...))
	}
	return opts
}

func TestDTLSWithCertificates(t *testing.T) {
	a, foreign := newAuthority(t), newAuthority(t)
	mine, theirs := a.issue("device", "device-7"), foreign.issue("device", "device-7")
	require.IsType(t, &ecdsa.PrivateKey{}, mine.PrivateKey)
	for name, tc := range map[string]struct {
		rsa, verify, must bool
		certs             []tls.Certificate
		cn                string
		refused           bool
	}{
		"ecdsa":                {},
		"rsa":                  {rsa: true},
		"verified":             {verify: true, certs: []tls.Certificate{mine}, cn: "device-7"},
		"verified, rsa server": {rsa: true, verify: true, must: true, certs: []tls.Certificate{mine}, cn: "device-7"},
		"not asked for":        {certs: []tls.Certificate{theirs}},
		"none given":           {verify: true},
		"none given, must":     {verify: true, must: true, refused: true},
		"of somebody else":     {verify: true, certs: []tls.Certificate{theirs}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := a.server(DTLS)
			if tc.rsa {
				a.rsaServer()
			}
			if tc.verify {
				c.TLS.Verify, c.TLS.CAFile, c.TLS.FailIfNoPeerCert = VerifyPeer, a.path("ca.pem"), tc.must
			}
			seen := make(chan *Peer, 1)
			x := receive(t, c, calls{packet: func(p *Peer, b []byte) {
				back(p, b)
				seen <- p
			}})
			if tc.refused {
				_, err := x.over(socket(t), a.dtls(tc.certs...)...)
				require.Error(t, err)
				x.waitRejected(t, RejectHandshake)
				return
			}
			conn := x.secure(t, a.dtls(tc.certs...)...)
			answers(t, conn, "hello")
			require.Equal(t, Identity{CertCN: tc.cn}, (<-seen).Identity())
		})
	}
}

func TestDTLSServesCertificatesAndKeys(t *testing.T) {
	a := newAuthority(t)
	c := a.server(DTLS)
	c.TLS.PSKFile = withPSK(t).TLS.PSKFile
	x := receive(t, c, calls{packet: back})
	answers(t, x.secure(t, device1()...), "key")
	answers(t, x.secure(t, a.dtls()...), "certificate")
}

func TestDTLSRefusesWrongKeys(t *testing.T) {
	c := withPSK(t)
	c.HandshakeTimeout = 2 * time.Second
	x := receive(t, c, calls{packet: func(*Peer, []byte) { panic("let in") }})
	for i, opts := range [][]dtls.ClientOption{identified("urn:dev:2", other), identified("urn:dev:1", other)} {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		conn, err := dtls.ClientWithOptions(socket(t), x.Addr(), opts...)
		require.NoError(t, err)
		require.Error(t, conn.HandshakeContext(ctx))
		require.NoError(t, conn.Close())
		require.Eventually(t, func() bool { return x.rejected(RejectHandshake) == i+1 }, long, time.Millisecond)
	}
	require.Eventually(t, func() bool { return x.Current() == 0 }, long, time.Millisecond)
	logged := x.logged.String()
	require.Contains(t, logged, "reason=handshake")
	for _, secret := range []string{keyHex, other, string([]byte{0xc0, 0xff, 0xee})} {
		require.NotContains(t, logged, secret)
	}
	require.Zero(t, x.get(func(c *counts) int { return c.panics }))
}

func TestPSKFile(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "no key",
		"# nothing\n":             "no key",
		"a:" + keyHex + "\nb":     "line 2: want identity:key",
		":" + keyHex:              "line 1: want identity:key",
		"a:" + keyHex + "x":       "line 1: the key is not hex",
		"a:":                      "line 1: the key is not hex",
		"a:c0ffee\n\na:c0ffee":    "line 3: \"a\" is given twice",
		"a:" + keyHex + ":secret": "line 1: the key is not hex",
	} {
		c := withPSK(t)
		require.NoError(t, os.WriteFile(c.TLS.PSKFile, []byte(text), 0o600))
		_, err := OpenPackets(c, nil, nil)
		require.ErrorContains(t, err, "dtls_options.psk_file: "+want)
		require.NotContains(t, err.Error(), keyHex)
	}
	c := withPSK(t)
	c.TLS.PSKFile += "/none"
	_, err := OpenPackets(c, nil, nil)
	require.ErrorContains(t, err, "dtls_options.psk_file")
	_, err = OpenPackets(config(DTLS), nil, nil)
	require.ErrorContains(t, err, "dtls_options.certfile")
}

func TestUpdateReadsDTLSFilesAgain(t *testing.T) {
	c := withPSK(t)
	x := receive(t, c, calls{packet: back})
	old := x.secure(t, device1()...)
	answers(t, old, "before")
	require.NoError(t, os.WriteFile(c.TLS.PSKFile, []byte("urn:dev:9:"+"3031323334353637"), 0o600))
	restart, err := x.Update(c)
	require.NoError(t, err)
	require.False(t, restart)
	answers(t, x.secure(t, identified("urn:dev:9", "01234567")...), "new key")
	answers(t, old, "still there")

	require.NoError(t, os.WriteFile(c.TLS.PSKFile, nil, 0o600))
	_, err = x.Update(c)
	require.ErrorContains(t, err, "no key")
	answers(t, x.secure(t, identified("urn:dev:9", "01234567")...), "nothing has changed")
}
