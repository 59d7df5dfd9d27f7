package listen

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Errors of [Peer.Send].
var (
	// ErrUnproven: an address that has proven nothing would get more bytes than it
	// sent; it may be somebody else's.
	ErrUnproven = errors.New("listen: answer is larger than the request of an unproven address")
	// ErrGone: the peer is forgotten.
	ErrGone = errors.New("listen: peer is gone")
)

// maxCredit bounds what an unproven address can save up.
const maxCredit = 1 << 20

// Peer is one remote party of a listener for datagrams: an address (udp), or an
// association (dtls). There are many, so it has no more than it needs: 96 bytes.
type Peer struct {
	front *Packets
	assoc *association // dtls
	value any
	addr  netip.AddrPort // udp: where it is; dtls: where it began
	turn  sync.Mutex     // held while the handler has the peer
	seen  atomic.Uint32  // ticks at which it was heard last
	slot  uint32         // place among the unproven of the table, from 1; the table's

	mu     sync.Mutex // of value and of what follows
	credit int32      // bytes that an unproven one may be sent
	via    uint8      // the socket that it came by; never changes
	proven bool
	gone   bool
}

// Identity is who a dtls peer has proven to be.
type Identity struct {
	PSK    string // identity of its pre-shared key
	CertCN string // common name of its certificate, if it was verified
}

// Identity of the peer; zero for udp.
func (p *Peer) Identity() Identity {
	if p.assoc == nil {
		return Identity{}
	}
	return p.assoc.identity
}

// Addr is where the peer is at this moment. A dtls peer with a connection ID can
// move.
func (p *Peer) Addr() net.Addr {
	if p.assoc != nil {
		return p.assoc.addr()
	}
	return net.UDPAddrFromAddrPort(p.addr)
}

// String is ip:port of Addr.
func (p *Peer) String() string {
	if p.assoc != nil {
		return p.assoc.addr().String()
	}
	return p.addr.String()
}

// Listener is the listener's type and name: "udp:default".
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
	if first && p.assoc == nil {
		p.front.table.proved(p)
	}
}

// Send sends one datagram. It waits for no peer; b can be used again.
func (p *Peer) Send(b []byte) error {
	if err := p.charge(len(b)); err != nil {
		if errors.Is(err, ErrUnproven) {
			p.front.refused(p.addr, RejectUnproven, nil)
		}
		return err
	}
	if p.assoc != nil {
		return p.assoc.send(b)
	}
	_, err := p.front.sockets[p.via].WriteToUDPAddrPort(b, p.addr)
	return err
}

// charge is why n bytes must not be sent, or nil.
func (p *Peer) charge(n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.gone:
		return ErrGone
	case p.proven:
		return nil
	case n > int(p.credit):
		return ErrUnproven
	}
	p.credit -= int32(n)
	return nil
}

// Close forgets the peer now; dtls says goodbye. What comes from its address
// later is from a new peer.
func (p *Peer) Close() {
	if p.forget() {
		p.leave()
	}
}

// forget reports whether it was the first to do so.
func (p *Peer) forget() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := !p.gone
	p.gone = true
	return first
}

// leave takes a peer that is forgotten out of its front.
func (p *Peer) leave() {
	if p.assoc != nil {
		p.assoc.end() // and its goroutine does the rest
		return
	}
	p.front.table.remove(p)
	p.front.obs.Closed()
}

// heard counts a datagram of n bytes. It reports false if the peer is gone.
func (p *Peer) heard(n int, now ticks) bool {
	p.seen.Store(uint32(now))
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.proven {
		p.credit = min(p.credit+int32(n), maxCredit)
	}
	return !p.gone
}
