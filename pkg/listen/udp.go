package listen

import (
	"context"
	"net/netip"
	"time"
)

// udp finds the peer of a datagram by its address.
//
// It reads and writes one datagram at a time. Measured by BenchmarkEcho (2 cores,
// 64 bytes there and back, 16 clients; CPU of clients and front together, range
// of 6 runs; batches are recvmmsg and sendmmsg by x/net/ipv4):
//
//	one socket, single reads and writes    10.7 to 13.6 us, no allocation
//	two sockets, single                    10.6 to 11.4 us, no allocation
//	one socket, batches of 32              10.5 to 11.2 us, 2 allocations
//	two sockets, batches of 32             10.0 to 12.3 us, 2 allocations
//	this front, with table and limits      10.9 to 12.6 us, no allocation
//
// So neither batches nor more sockets gain anything here; machines of more cores
// have udp_options.sockets.
type udp struct{ *Packets }

func (l udp) take(_ context.Context, h PacketHandler, via int, from netip.AddrPort, b []byte) {
	// A peer can be forgotten between finding it and its turn; then it begins anew.
	for range 2 {
		p := l.table.get(from)
		if p == nil {
			p = l.welcome(h, via, from)
		}
		if p == nil || l.deliver(h, p, b) {
			return
		}
	}
}

// welcome makes a peer of an address, or refuses to.
func (l udp) welcome(h PacketHandler, via int, from netip.AddrPort) *Peer {
	s := l.state.Load()
	if reason := l.newcomer(s, from.Addr()); reason != "" {
		l.refused(from, reason, nil)
		return nil
	}
	p := &Peer{front: l.Packets, addr: from, via: uint8(via)}
	p.seen.Store(uint32(l.clock()))
	got, out, ok := l.table.add(p, s.conf.MaxConnections)
	switch {
	case !ok:
		l.refused(from, RejectMaxConnections, nil)
		return nil
	case got != p: // another socket was faster, or all is over
		return got
	}
	l.obs.Opened()
	if out != nil {
		l.drop(h, out, ErrPushedOut)
	}
	return p
}

func (l udp) sweep(h PacketHandler, idle time.Duration) {
	now := l.clock()
	for _, p := range l.table.silent(now, ticksOf(min(idle, unprovenTime)), ticksOf(idle)) {
		l.drop(h, p, ErrSilent)
	}
}

func (l udp) close() {
	for _, p := range l.table.close() {
		p.Close()
	}
}

func (l udp) wait() {}
