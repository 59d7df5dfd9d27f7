package listen

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/pion/dtls/v3"
)

// cidLength is that of our connection IDs (RFC 9146 §3): enough that none is
// guessed or met twice.
const cidLength = 8

// dtlsFront accepts associations and reads from each.
type dtlsFront struct {
	l        *Packets
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	peers  map[*Peer]struct{}
	closed bool
}

// secure is the association of a peer.
type secure struct {
	front    *dtlsFront
	conn     *dtls.Conn
	identity Identity
}

func openDTLS(l *Packets, c Config) (*dtlsFront, error) {
	opts, err := dtlsOptions(c.TLS)
	if err != nil {
		return nil, err
	}
	addr, err := net.ResolveUDPAddr("udp", c.Bind)
	if err != nil {
		return nil, err
	}
	listener, err := dtls.ListenWithOptions("udp", addr, opts...)
	if err != nil {
		return nil, err
	}
	return &dtlsFront{l: l, listener: listener, peers: map[*Peer]struct{}{}}, nil
}

func dtlsOptions(c TLSConfig) ([]dtls.ServerOption, error) {
	opts := []dtls.ServerOption{dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret)}
	if c.ConnectionID {
		opts = append(opts, dtls.WithConnectionIDGenerator(dtls.RandomCIDGenerator(cidLength)))
	}
	var suites []dtls.CipherSuiteID
	if c.PSKFile != "" {
		keys, err := readPSK(c.PSKFile)
		if err != nil {
			return nil, fmt.Errorf("dtls_options.psk_file: %w", err)
		}
		opts = append(opts, dtls.WithPSK(keys.find), dtls.WithPSKIdentityHint([]byte("sluice")))
		suites = append(suites, dtls.TLS_PSK_WITH_AES_128_GCM_SHA256, dtls.TLS_PSK_WITH_AES_128_CCM_8, dtls.TLS_PSK_WITH_AES_128_CCM, dtls.TLS_PSK_WITH_AES_128_CBC_SHA256)
	}
	if c.CertFile == "" {
		return append(opts, dtls.WithCipherSuites(suites...)), nil
	}
	conf, err := newTLS(c, false)
	if err != nil {
		return nil, err
	}
	suites = append(suites, dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8)
	opts = append(opts, dtls.WithCipherSuites(suites...), dtls.WithCertificates(conf.Certificates...))
	if conf.ClientCAs != nil {
		auth := dtls.VerifyClientCertIfGiven
		if conf.ClientAuth == tls.RequireAndVerifyClientCert {
			auth = dtls.RequireAndVerifyClientCert
		}
		opts = append(opts, dtls.WithClientAuth(auth), dtls.WithClientCAs(conf.ClientCAs))
	}
	return opts, nil
}

// psk are the pre-shared keys by identity.
type psk map[string][]byte

var errUnknownPSK = errors.New("listen: unknown identity")

func (k psk) find(identity []byte) ([]byte, error) {
	if key, ok := k[string(identity)]; ok {
		return key, nil
	}
	return nil, errUnknownPSK
}

// readPSK reads lines "identity:hex"; the key never appears in an error.
func readPSK(name string) (psk, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	keys := psk{}
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ':')
		if i <= 0 {
			return nil, fmt.Errorf("line %d: want identity:key", n)
		}
		key, err := hex.DecodeString(line[i+1:])
		if err != nil || len(key) == 0 {
			return nil, fmt.Errorf("line %d: the key of %q is not hex", n, line[:i])
		}
		if keys[line[:i]] != nil {
			return nil, fmt.Errorf("line %d: %q is given twice", n, line[:i])
		}
		keys[line[:i]] = key
	}
	return keys, in.Err()
}

func (d *dtlsFront) serve(h PacketHandler) error {
	defer d.running.Wait()
	for {
		c, err := d.listener.Accept()
		if err != nil {
			d.mu.Lock()
			closed := d.closed
			d.mu.Unlock()
			if closed {
				return nil
			}
			d.l.loud.say(func(more int) { d.l.log.Debug("accept failed", "error", err, "suppressed", more) })
			continue
		}
		if p := d.admit(c.(*dtls.Conn)); p != nil {
			d.running.Go(func() { d.run(p, h) })
		}
	}
}

// admit decides about an association before its handshake.
func (d *dtlsFront) admit(c *dtls.Conn) *Peer {
	s := d.l.state.Load()
	addr := c.RemoteAddr().(*net.UDPAddr).AddrPort()
	reason := ""
	switch {
	case !s.rules.allows(addr.Addr()):
		reason = RejectAccess
	case d.len() >= s.conf.MaxConnections:
		reason = RejectMaxConnections
	case !d.l.limiter.Allow():
		reason = RejectRate
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if reason != "" || d.closed {
		d.l.refused(addr, reason)
		go c.Close() // it waits for a handshake that does not come
		return nil
	}
	p := &Peer{front: d.l, proven: true, secure: &secure{front: d, conn: c}}
	d.peers[p] = struct{}{}
	d.l.obs.Opened()
	return p
}

// run is a peer's life: handshake, then its datagrams.
func (d *dtlsFront) run(p *Peer, h PacketHandler) {
	defer d.leave(p)
	ctx, cancel := context.WithTimeout(context.Background(), d.l.state.Load().conf.HandshakeTimeout)
	err := p.secure.conn.HandshakeContext(ctx)
	cancel()
	if err != nil {
		d.l.obs.Rejected(RejectHandshake)
		p.forget()
		return
	}
	p.secure.identify()
	buf := make([]byte, 8<<10) // a record has at most 2^14 bytes; a device's datagram is one of them
	for {
		n, err := p.secure.conn.Read(buf)
		if err != nil {
			if p.forget() {
				h.Gone(p, err)
			}
			return
		}
		d.l.call(h, p, buf[:n])
	}
}

// identify takes down who the handshake has proven the peer to be.
func (s *secure) identify() {
	st, ok := s.conn.ConnectionState()
	if !ok {
		return
	}
	s.identity.PSK = string(st.IdentityHint)
	if len(st.PeerCertificates) > 0 {
		if cert, err := x509.ParseCertificate(st.PeerCertificates[0]); err == nil {
			s.identity.CertCN = cert.Subject.CommonName
		}
	}
}

func (s *secure) send(b []byte) error {
	_, err := s.conn.Write(b)
	return err
}

func (s *secure) close() { _ = s.conn.Close() }

func (d *dtlsFront) leave(p *Peer) {
	p.secure.close()
	d.mu.Lock()
	delete(d.peers, p)
	d.mu.Unlock()
	d.l.obs.Closed()
}

func (d *dtlsFront) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.peers)
}

// close stops to accept and ends all associations.
func (d *dtlsFront) close() error {
	d.mu.Lock()
	d.closed = true
	all := make([]*Peer, 0, len(d.peers))
	for p := range d.peers {
		all = append(all, p)
	}
	d.mu.Unlock()
	err := d.listener.Close()
	for _, p := range all {
		p.Close()
	}
	return err
}
