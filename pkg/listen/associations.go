package listen

import (
	"container/list"
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"sync"
	"time"
)

// maxStrangers is how many associations may be in their handshake before the
// peer has returned our cookie, so that its address may be invented. Each costs
// some 35 KB; the oldest makes room.
const maxStrangers = 512

// cidLength is that of our connection IDs (RFC 9146 §3): enough that none is
// guessed or met twice.
const cidLength = 8

type cid [cidLength]byte

// associations route the datagrams of a dtls listener. The library has a listener
// too; this one knows caps, keeps those that have a connection ID reachable from
// anywhere, and lets a device that has forgotten its association begin a new one
// from the same port (RFC 6347 §4.2.8).
type associations struct {
	l       *Packets
	running sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	all       map[*association]*list.Element // of strangers, or nil
	strangers *list.List                     // of *association, oldest first
	byID      map[cid]*association
	byAddr    map[netip.AddrPort]*association
	again     map[netip.AddrPort]*association // in a handshake, beside an established one
}

func newAssociations(l *Packets) *associations {
	return &associations{
		l: l, all: map[*association]*list.Element{}, strangers: list.New(), byID: map[cid]*association{},
		byAddr: map[netip.AddrPort]*association{}, again: map[netip.AddrPort]*association{},
	}
}

func (d *associations) len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.all)
}

// welcome makes an association and starts its goroutine, or refuses to.
func (d *associations) welcome(ctx context.Context, h PacketHandler, via int, from netip.AddrPort) *association {
	s := d.l.state.Load()
	if reason := d.l.newcomer(s, from.Addr()); reason != "" {
		d.l.refused(from, reason, nil)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.conf.HandshakeTimeout)
	a := newAssociation(d, from, via, cancel)
	out, ok := d.enter(a, s.conf.MaxConnections)
	if out != nil && out.peer.forget() {
		d.l.refused(out.peer.addr, RejectMaxConnections, nil)
		out.end()
	}
	if !ok {
		cancel()
		d.l.refused(from, RejectMaxConnections, nil)
		return nil
	}
	d.l.obs.Opened()
	d.running.Go(func() { d.run(ctx, a, h, s) })
	return a
}

// enter remembers an association, unless there are limit already; out is the
// stranger that has to go for it.
func (d *associations) enter(a *association, limit int) (out *association, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	full := len(d.all) >= limit
	if first := d.strangers.Front(); first != nil && (full || d.strangers.Len() >= maxStrangers) {
		out = first.Value.(*association)
		d.forget(out)
		full = false
	}
	if full || d.closed {
		return out, false
	}
	d.all[a] = d.strangers.PushBack(a)
	if d.byAddr[a.at] == nil {
		d.byAddr[a.at] = a
	} else {
		d.again[a.at] = a
	}
	return out, true
}

// forget routes nothing to an association any more. d.mu is held.
func (d *associations) forget(a *association) {
	if e := d.all[a]; e != nil {
		d.strangers.Remove(e)
	}
	delete(d.all, a)
	d.unplace(a)
	if a.hasID {
		delete(d.byID, a.id)
	}
}

func (d *associations) unplace(a *association) {
	if d.byAddr[a.at] == a {
		delete(d.byAddr, a.at)
	}
	if d.again[a.at] == a {
		delete(d.again, a.at)
	}
}

// run is the goroutine of one association: handshake, then its datagrams.
func (d *associations) run(ctx context.Context, a *association, h PacketHandler, s *state) {
	defer d.leave(a)
	defer d.l.guard(a.peer)
	if err := a.handshake(ctx, s.conf.TLS, s.dtls); err != nil {
		if a.peer.forget() {
			d.l.refused(a.peer.addr, RejectHandshake, err)
		}
		return
	}
	a.cancel() // the timer of the handshake
	if old := d.establish(a); old != nil {
		d.l.drop(h, old.peer, ErrReplaced)
	}
	conn := a.conn.Load()
	// A longer datagram does not come so far, so that max_packet can save memory.
	at, buf := conn.RemoteAddr(), make([]byte, min(maxSecure, s.conf.UDP.MaxPacket))
	for {
		n, err := conn.Read(buf)
		if err != nil {
			d.l.drop(h, a.peer, err)
			return
		}
		if now := conn.RemoteAddr(); now != at {
			at = now
			d.move(a, now.(*net.UDPAddr).AddrPort())
		}
		d.l.deliver(h, a.peer, buf[:n])
	}
}

// leave is the last that an association's goroutine does.
func (d *associations) leave(a *association) {
	a.peer.forget()
	a.end()
	d.mu.Lock()
	d.forget(a)
	d.mu.Unlock()
	d.l.obs.Closed()
}

// reached is told when the peer has returned our cookie, so that it is where it
// says to be.
func (d *associations) reached(a *association) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.all[a]; e != nil {
		d.strangers.Remove(e)
		d.all[a] = nil
	}
}

// name makes the connection ID of an association.
func (d *associations) name(a *association) []byte {
	var id cid
	_, _ = rand.Read(id[:]) // it does not fail
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, in := d.all[a]; in {
		if a.hasID {
			delete(d.byID, a.id)
		}
		a.id, a.hasID = id, true
		d.byID[id] = a
	}
	return id[:]
}

// establish gives an association its address. Who had it before is gone, or has
// a connection ID, and may be elsewhere by now.
func (d *associations) establish(a *association) (gone *association) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a.established = true
	if d.again[a.at] != a {
		return nil
	}
	gone = d.byAddr[a.at]
	delete(d.again, a.at)
	d.byAddr[a.at] = a
	if gone != nil && gone.hasID {
		return nil
	}
	return gone
}

// move is told when a peer with a connection ID has come from another address:
// the old one may be somebody else's.
func (d *associations) move(a *association, to netip.AddrPort) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unplace(a)
	a.at = to
}

func (d *associations) sweep(h PacketHandler, idle time.Duration) {
	now, limit := d.l.clock(), ticksOf(idle)
	var silent []*Peer
	d.mu.Lock()
	for a := range d.all {
		if a.established && now-ticks(a.peer.seen.Load()) >= limit {
			silent = append(silent, a.peer)
		}
	}
	d.mu.Unlock()
	for _, p := range silent {
		d.l.drop(h, p, ErrSilent)
	}
}

func (d *associations) close() {
	d.mu.Lock()
	d.closed = true
	all := make([]*Peer, 0, len(d.all))
	for a := range d.all {
		all = append(all, a.peer)
	}
	d.mu.Unlock()
	for _, p := range all {
		p.Close()
	}
}

func (d *associations) wait() { d.running.Wait() }
