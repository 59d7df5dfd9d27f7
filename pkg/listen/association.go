package listen

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
)

const (
	// maxSecure is the largest datagram that the library reads.
	maxSecure = 8192
	// maxRecord is what one record can hold (RFC 6347 §4.1).
	maxRecord = 1 << 14
	// maxInbox is how many datagrams wait for an association; more are lost, as
	// in a socket's buffer.
	maxInbox = 64
)

// association is what a dtls peer has and a udp peer has not. To the library it
// is a socket, the one of this peer alone.
type association struct {
	net.PacketConn // none: it panics for what the library never calls
	peer           *Peer
	all            *associations
	cancel         context.CancelFunc // ends the handshake
	conn           atomic.Pointer[dtls.Conn]
	identity       Identity // set before the handler knows the peer

	// Of associations.mu.

	at          netip.AddrPort // by which it is found, beside id
	id          cid
	hasID       bool
	established bool

	mu      sync.Mutex // of the inbox
	arrived sync.Cond
	inbox   []parcel
	remote  *net.UDPAddr // of the last parcel
	closed  bool
	expired bool
}

// parcel is a datagram that waits to be read.
type parcel struct {
	from netip.AddrPort
	data []byte
}

func newAssociation(d *associations, from netip.AddrPort, via int, cancel context.CancelFunc) *association {
	a := &association{all: d, at: from, cancel: cancel, remote: net.UDPAddrFromAddrPort(from)}
	a.arrived.L = &a.mu
	a.peer = &Peer{front: d.l, assoc: a, addr: from, via: uint8(via), proven: true}
	a.peer.seen.Store(uint32(d.l.clock()))
	return a
}

// push hands a copy of a datagram to the association. It reports false if it is
// lost.
func (a *association) push(from netip.AddrPort, b []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.inbox) >= maxInbox {
		return false
	}
	a.inbox = append(a.inbox, parcel{from, append([]byte(nil), b...)})
	a.arrived.Signal()
	return true
}

// ReadFrom implements [net.PacketConn] for one reader.
func (a *association) ReadFrom(b []byte) (int, net.Addr, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		switch {
		case a.closed:
			return 0, nil, net.ErrClosed
		case len(a.inbox) > 0:
			next := a.inbox[0]
			a.inbox[0] = parcel{}
			if a.inbox = a.inbox[1:]; len(a.inbox) == 0 {
				a.inbox = nil // an idle one keeps nothing
			}
			if next.from != a.remote.AddrPort() {
				a.remote = net.UDPAddrFromAddrPort(next.from)
			}
			return copy(b, next.data), a.remote, nil
		case a.expired:
			return 0, nil, os.ErrDeadlineExceeded
		}
		a.arrived.Wait()
	}
}

// WriteTo implements [net.PacketConn].
func (a *association) WriteTo(b []byte, to net.Addr) (int, error) {
	if isServerHello(b) {
		a.all.reached(a)
	}
	return a.peer.front.sockets[a.peer.via].WriteToUDPAddrPort(b, to.(*net.UDPAddr).AddrPort())
}

// SetReadDeadline knows now and never, which is all that the library asks for.
func (a *association) SetReadDeadline(t time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expired = !t.IsZero() && !t.After(time.Now())
	a.arrived.Signal()
	return nil
}

// SetWriteDeadline implements [net.PacketConn]: writing waits for nobody.
func (a *association) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr implements [net.PacketConn].
func (a *association) LocalAddr() net.Addr { return a.peer.front.Addr() }

// Close implements [net.PacketConn]; the socket under it is everybody's.
func (a *association) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.inbox = nil
	a.arrived.Signal()
	return nil
}

// handshake makes the connection and takes down who the peer is.
func (a *association) handshake(ctx context.Context, conf TLSConfig, opts []dtls.ServerOption) error {
	opts = opts[:len(opts):len(opts)] // shared by all
	if conf.ConnectionID {
		opts = append(opts, dtls.WithConnectionIDGenerator(func() []byte { return a.all.name(a) }))
	}
	conn, err := dtls.ServerWithOptions(a, a.remote, opts...)
	if err != nil {
		return err
	}
	a.conn.Store(conn)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	st, ok := conn.ConnectionState()
	if !ok {
		return fmt.Errorf("listen: no state after the handshake")
	}
	a.identity.PSK = string(st.IdentityHint)
	// There are certificates only where they are asked for, and so verified.
	if len(st.PeerCertificates) > 0 {
		cert, err := x509.ParseCertificate(st.PeerCertificates[0])
		if err != nil {
			return err
		}
		a.identity.CertCN = cert.Subject.CommonName
	}
	return nil
}

// addr is where the peer is.
func (a *association) addr() net.Addr {
	if c := a.conn.Load(); c != nil {
		return c.RemoteAddr()
	}
	return net.UDPAddrFromAddrPort(a.peer.addr)
}

func (a *association) send(b []byte) error {
	if len(b) > maxRecord {
		return fmt.Errorf("listen: %d bytes do not fit in a dtls record", len(b))
	}
	_, err := a.conn.Load().Write(b)
	return err
}

// end closes the association, with a goodbye if it has come so far.
func (a *association) end() {
	a.cancel()
	if c := a.conn.Load(); c != nil {
		_ = c.Close()
	}
	_ = a.Close()
}
