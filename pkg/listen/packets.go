package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// PacketHandler gets the datagrams of a listener. Calls of Packet about one peer
// never overlap.
type PacketHandler interface {
	// Packet takes one datagram, which is valid until it returns. It must not
	// block: others wait behind it.
	Packet(p *Peer, datagram []byte)
	// Gone is told when the listener has forgotten a peer by itself: silent for too
	// long, pushed out, or ended by its own DTLS. It comes from any goroutine.
	Gone(p *Peer, why error)
}

// Why a peer is gone, for [PacketHandler.Gone].
var (
	ErrSilent    = errors.New("listen: peer was silent for too long")
	ErrPushedOut = errors.New("listen: unproven peer had to make room")
)

// maxDatagram is the largest that UDP has.
const maxDatagram = 65535

// Packets is a bound listener for datagrams: udp or dtls.
type Packets struct {
	id      string
	log     *slog.Logger
	obs     Observer
	loud    *loudness
	limiter *rate.Limiter
	state   atomic.Pointer[state]
	began   time.Time
	socket  *net.UDPConn // udp
	table   peers        // udp
	dtls    *dtlsFront   // dtls

	mu     sync.Mutex
	closed bool
	served bool
	done   chan struct{} // closed when Serve has returned, or Close came first
}

// OpenPackets binds a udp or dtls listener. log and m may be nil.
func OpenPackets(cfg Config, log *slog.Logger, m Observer) (*Packets, error) {
	s, err := newState(cfg)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if !s.conf.packets() {
		return nil, fmt.Errorf("listen: %s is not for datagrams", s.conf.Type)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if m == nil {
		m = blind{}
	}
	l := &Packets{
		id: s.conf.Type + ":" + s.conf.Name, obs: m, loud: newLoudness(), began: time.Now(), done: make(chan struct{}),
		limiter: rate.NewLimiter(rate.Limit(s.conf.MaxConnRate), s.conf.MaxConnRate),
		table:   peers{of: map[netip.AddrPort]*Peer{}},
	}
	l.log = log.With("listener", l.id)
	l.state.Store(s)
	if s.conf.Type == DTLS {
		l.dtls, err = openDTLS(l, s.conf)
	} else {
		l.socket, err = openUDP(s.conf)
	}
	if err != nil {
		return nil, fmt.Errorf("listen: bind: %w", err)
	}
	return l, nil
}

func openUDP(c Config) (*net.UDPConn, error) {
	addr, err := net.ResolveUDPAddr("udp", c.Bind)
	if err != nil {
		return nil, err
	}
	socket, err := net.ListenUDP("udp", addr)
	if err != nil {
		return nil, err
	}
	if c.UDP.RecvBuffer > 0 { // what the kernel refuses is no reason not to serve
		_ = socket.SetReadBuffer(c.UDP.RecvBuffer)
	}
	if c.UDP.SendBuffer > 0 {
		_ = socket.SetWriteBuffer(c.UDP.SendBuffer)
	}
	return socket, nil
}

// Addr is where the socket is bound.
func (l *Packets) Addr() net.Addr {
	if l.dtls != nil {
		return l.dtls.listener.Addr()
	}
	return l.socket.LocalAddr()
}

// Current is the number of peers.
func (l *Packets) Current() int {
	if l.dtls != nil {
		return l.dtls.len()
	}
	return l.table.len()
}

// Update changes what can change in place, as [Listener.Update].
func (l *Packets) Update(cfg Config) (restart bool, err error) {
	s, err := newState(cfg)
	if err != nil {
		return false, fmt.Errorf("listen: %w", err)
	}
	old := l.state.Load().conf
	if s.conf.Type != old.Type || s.conf.Name != old.Name || s.conf.Bind != old.Bind || s.conf.TLS != old.TLS || s.conf.UDP.RecvBuffer != old.UDP.RecvBuffer || s.conf.UDP.SendBuffer != old.UDP.SendBuffer {
		return true, nil
	}
	l.limiter.SetLimit(rate.Limit(s.conf.MaxConnRate))
	l.limiter.SetBurst(s.conf.MaxConnRate)
	l.state.Store(s)
	return false, nil
}

// Serve reads until Close, Shutdown or the end of ctx, and returns when the
// handler will not be called any more.
//
// Goroutines: this one reads, one sweeps; with dtls one a peer, beside those of
// the association. All have ended when Serve returns.
func (l *Packets) Serve(ctx context.Context, h PacketHandler) error {
	l.mu.Lock()
	if l.served || l.closed {
		l.mu.Unlock()
		return ErrServed
	}
	l.served = true
	l.mu.Unlock()
	defer close(l.done)
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	if l.dtls != nil {
		return l.dtls.serve(h)
	}
	life, stop := context.WithCancel(ctx)
	var sweeping sync.WaitGroup
	defer sweeping.Wait()
	defer stop()
	sweeping.Go(func() { l.sweep(life, h) })
	return l.read(h)
}

// read is the loop of udp. It allocates for new peers only.
func (l *Packets) read(h PacketHandler) error {
	buf := make([]byte, maxDatagram)
	limits := &buckets{}
	for {
		n, from, err := l.socket.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // such as a port that is not there: it says nothing about us
			l.loud.say(func(more int) { l.log.Debug("read failed", "error", err, "suppressed", more) })
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		now := time.Since(l.began)
		s := l.state.Load()
		if !limits.allow(from.Addr(), now, s.conf.UDP.PacketRate) {
			l.obs.Rejected(RejectRate)
			continue
		}
		if p := l.peer(from, s, now, h); p != nil {
			p.heard(n, now)
			l.call(h, p, buf[:n])
		}
	}
}

// peer finds the peer of an address, or makes one, or refuses to.
func (l *Packets) peer(from netip.AddrPort, s *state, now time.Duration, h PacketHandler) *Peer {
	if p := l.table.get(from); p != nil {
		return p
	}
	switch {
	case !s.rules.allows(from.Addr()):
		l.refused(from, RejectAccess)
		return nil
	case !l.limiter.Allow():
		l.refused(from, RejectRate)
		return nil
	}
	p := &Peer{front: l, addr: from}
	p.seen.Store(int64(now))
	out, ok := l.table.add(p, s.conf.MaxConnections)
	if !ok {
		l.refused(from, RejectMaxConnections)
		return nil
	}
	if out != nil && out.forget() {
		l.obs.Closed()
		h.Gone(out, ErrPushedOut)
	}
	l.obs.Opened()
	return p
}

func (l *Packets) refused(from netip.AddrPort, reason string) {
	l.log.Debug("datagram refused", "peer", from.String(), "reason", reason)
	l.obs.Rejected(reason)
}

// call is one call of the handler; a panic ends that peer and nothing else.
func (l *Packets) call(h PacketHandler, p *Peer, b []byte) {
	defer func() {
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
	}()
	h.Packet(p, b)
}

// sweep forgets peers that were silent for long.
func (l *Packets) sweep(ctx context.Context, h PacketHandler) {
	t := time.NewTicker(sweepPeers)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for _, p := range l.table.silent(time.Since(l.began), l.state.Load().conf.UDP.PeerIdle) {
			if p.forget() {
				l.table.remove(p)
				l.obs.Closed()
				h.Gone(p, ErrSilent)
			}
		}
	}
}

// Close stops to read, and to send.
func (l *Packets) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	if !l.served {
		close(l.done)
	}
	if l.dtls != nil {
		return l.dtls.close()
	}
	return l.socket.Close()
}

// Shutdown is Close that waits for Serve. Goodbyes are to be said before.
func (l *Packets) Shutdown(ctx context.Context, _ error) error {
	err := l.Close()
	select {
	case <-l.done:
		return err
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("listen: a handler is stuck: %w", context.Cause(ctx)))
	}
}
