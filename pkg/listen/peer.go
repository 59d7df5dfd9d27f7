package listen

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of [Peer.Send].
var (
	// ErrUnproven: an address that has proven nothing would get more bytes than it
	// sent; it may be somebody else's.
	ErrUnproven = errors.New("listen: answer is larger than the request of an unproven address")
	// ErrGone: the peer is forgotten.
	ErrGone = errors.New("listen: peer is gone")
)

// Peer is one remote party of a listener for datagrams: an address (udp), or an
// association (dtls).
type Peer struct {
	front  *Packets
	addr   netip.AddrPort // udp
	secure *secure        // dtls
	seen   atomic.Int64   // when it was heard last, in nanoseconds since the listener began

	mu     sync.Mutex
	value  any
	proven bool
	gone   bool
	credit int // bytes that an unproven one may be sent
}

// Identity is who a dtls peer has proven to be.
type Identity struct {
	PSK    string // identity of its pre-shared key
	CertCN string // common name of its certificate, if it was verified
}

// Identity of the peer; zero for udp.
func (p *Peer) Identity() Identity {
	if p.secure == nil {
		return Identity{}
	}
	return p.secure.identity
}

// Addr is where the peer is at this moment.
func (p *Peer) Addr() net.Addr {
	if p.secure != nil {
		return p.secure.conn.RemoteAddr()
	}
	return net.UDPAddrFromAddrPort(p.addr)
}

func (p *Peer) String() string { return p.Addr().String() }

// Listener is the listener's type and name.
func (p *Peer) Listener() string { return p.front.id }

// Value is what the edge has hung on the peer.
func (p *Peer) Value() any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.value
}

// SetValue hangs something on the peer.
func (p *Peer) SetValue(v any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.value = v
}

// Prove says that the address belongs to who it says: a device has been let in.
// It may be sent anything from now on, and newcomers cannot push it out.
func (p *Peer) Prove() {
	p.mu.Lock()
	first := !p.proven && !p.gone
	p.proven = true
	p.mu.Unlock()
	if first && p.secure == nil {
		p.front.table.proved(p)
	}
}

// Send sends one datagram. It does not wait for anybody; b can be used again.
func (p *Peer) Send(b []byte) error {
	p.mu.Lock()
	switch {
	case p.gone:
		p.mu.Unlock()
		return ErrGone
	case !p.proven && len(b) > p.credit:
		p.mu.Unlock()
		p.front.refused(p.addr, "unproven")
		return ErrUnproven
	case !p.proven:
		p.credit -= len(b)
	}
	p.mu.Unlock()
	if p.secure != nil {
		return p.secure.send(b)
	}
	_, err := p.front.socket.WriteToUDPAddrPort(b, p.addr)
	return err
}

// Close forgets the peer; dtls says goodbye.
func (p *Peer) Close() {
	if !p.forget() {
		return
	}
	if p.secure != nil {
		p.secure.close()
		return
	}
	p.front.table.remove(p)
	p.front.obs.Closed()
}

// forget reports whether it was the first to do so.
func (p *Peer) forget() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return false
	}
	p.gone = true
	return true
}

// heard counts a datagram of the peer.
func (p *Peer) heard(n int, now time.Duration) {
	p.seen.Store(int64(now))
	p.mu.Lock()
	if !p.proven {
		p.credit += n
	}
	p.mu.Unlock()
}
