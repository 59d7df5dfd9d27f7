package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime/debug"
	"time"
)

// sweepPeers is how often silent peers are looked for, at least.
const sweepPeers = 10 * time.Second

// read is the loop of one socket. It allocates nothing for a datagram.
func (l *Packets) read(ctx context.Context, via int, f front, h PacketHandler) {
	socket := l.sockets[via]
	buf := make([]byte, maxDatagram+1)
	var delay time.Duration
	for {
		n, from, err := socket.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // none is known that says something about the socket
			delay = min(max(2*delay, minBackoff), maxBackoff)
			l.loud.say(func(more int) {
				l.log.Warn("read failed, trying again", "error", err, "delay", delay, "suppressed", more)
			})
			if !pause(ctx, delay) {
				return
			}
			continue
		}
		delay = 0
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		s := l.state.Load()
		switch {
		case !l.sources.allow(from.Addr(), time.Since(l.began), s.conf.MaxPacketRate):
			l.refused(from, RejectPacketRate, nil)
		case n > s.conf.UDP.MaxPacket:
			l.refused(from, RejectTooLarge, nil)
		default:
			f.take(ctx, h, via, from, buf[:n])
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sweep looks for silent peers until ctx ends: no peer has a timer.
func (l *Packets) sweep(ctx context.Context, f front, h PacketHandler) {
	for {
		idle := l.state.Load().conf.PeerIdle
		if !pause(ctx, min(idle/4, sweepPeers)) {
			return
		}
		f.sweep(h, idle)
	}
}

// deliver gives a datagram to the handler. It reports false if the peer is gone.
func (l *Packets) deliver(h PacketHandler, p *Peer, b []byte) bool {
	p.turn.Lock()
	defer p.turn.Unlock()
	if !p.heard(len(b), l.clock()) {
		return false
	}
	defer l.guard(p)
	h.Packet(p, b)
	return true
}

// drop forgets a peer and tells the handler, unless it is forgotten already.
func (l *Packets) drop(h PacketHandler, p *Peer, why error) {
	p.turn.Lock()
	defer p.turn.Unlock()
	if !p.forget() {
		return
	}
	p.leave()
	defer l.guard(p)
	h.Gone(p, why)
}

// guard ends a peer whose handler panics, and nothing else. It must be deferred
// itself, or it recovers nothing.
func (l *Packets) guard(p *Peer) {
	v := recover()
	if v == nil {
		return
	}
	l.obs.Panic()
	stack := debug.Stack()
	l.loud.say(func(more int) {
		l.log.Error("panic for a datagram", "peer", p.String(), "value", v, "stack", string(stack), "suppressed", more)
	})
	p.Close()
}

// clock is the time since the listener began in units that a peer has room for.
func (l *Packets) clock() ticks { return ticksOf(time.Since(l.began)) }

// ticks are tenths of a second: 13 years of them.
type ticks uint32

func ticksOf(d time.Duration) ticks { return ticks(d / (100 * time.Millisecond)) }
