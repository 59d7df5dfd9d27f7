package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// PacketHandler gets the datagrams of a listener. Its calls about one peer come
// one after another, those about different peers at the same time. It must not
// block: others wait behind it.
type PacketHandler interface {
	// Packet takes one datagram, which is valid until it returns.
	Packet(p *Peer, datagram []byte)
	// Gone is told when the listener has forgotten a peer by itself: silent for too
	// long, pushed out, replaced, or ended by its DTLS. Nothing about this peer
	// follows, and nothing can be sent to it. Peers that [Peer.Close] or the end of
	// the listener has ended are not told.
	Gone(p *Peer, why error)
}

// Why a peer is gone, for [PacketHandler.Gone].
var (
	ErrSilent    = errors.New("listen: peer was silent for too long")
	ErrPushedOut = errors.New("listen: unproven peer had to make room")
	ErrReplaced  = errors.New("listen: a new dtls association came from the same address")
)

// maxDatagram is the largest that UDP has.
const maxDatagram = 65535

// Packets is a bound listener for datagrams: udp or dtls.
type Packets struct {
	id      string
	log     *slog.Logger
	obs     Observer
	loud    *loudness // of what peers could make us log again and again
	limiter *rate.Limiter
	state   atomic.Pointer[state]
	sockets []*net.UDPConn
	sources *buckets
	table   peers         // udp
	assocs  *associations // dtls, or nil
	began   time.Time

	mu     sync.Mutex
	closed bool
	served bool
	done   chan struct{} // closed when Serve has returned, or Close came first
}

// front is what udp and dtls do each in its own way.
type front interface {
	// take gets each datagram of each socket, from the goroutine that reads it.
	// ctx ends with Serve.
	take(ctx context.Context, h PacketHandler, via int, from netip.AddrPort, b []byte)
	// sweep forgets the peers that have been silent for their time.
	sweep(h PacketHandler, idle time.Duration)
	// close ends all peers; wait waits for goroutines.
	close()
	wait()
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
	sockets, err := openSockets(s.conf)
	if err != nil {
		return nil, fmt.Errorf("listen: bind: %w", err)
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
		sockets: sockets, sources: newBuckets(), table: newPeers(),
	}
	l.log = log.With("listener", l.id)
	l.state.Store(s)
	if s.conf.Type == DTLS {
		l.assocs = newAssociations(l)
	}
	return l, nil
}

func (l *Packets) front() front {
	if l.assocs != nil {
		return l.assocs
	}
	return udp{l}
}

// Addr is where the socket is bound.
func (l *Packets) Addr() net.Addr { return l.sockets[0].LocalAddr() }

// Current is the number of peers; dtls counts those in a handshake too.
func (l *Packets) Current() int {
	if l.assocs != nil {
		return l.assocs.len()
	}
	return l.table.len()
}

// Update changes what can change in place: caps, rates, access rules, timeouts,
// dtls files (read again). Peers that exist keep what they have. Another type,
// name, bind or udp_options cannot: restart is true then, and nothing has
// changed, as with an error.
func (l *Packets) Update(cfg Config) (restart bool, err error) {
	s, err := newState(cfg)
	if err != nil {
		return false, fmt.Errorf("listen: %w", err)
	}
	old := l.state.Load().conf
	if s.conf.Type != old.Type || s.conf.Name != old.Name || s.conf.Bind != old.Bind || s.conf.UDP != old.UDP {
		return true, nil
	}
	if s.conf.MaxConnRate != old.MaxConnRate {
		l.limiter.SetLimit(rate.Limit(s.conf.MaxConnRate))
		l.limiter.SetBurst(s.conf.MaxConnRate)
	}
	l.state.Store(s)
	return false, nil
}

// Serve reads until Close, Shutdown or the end of ctx, and returns when the
// handler will not be called any more.
//
// Goroutines: one a socket reads, one sweeps; with dtls one a peer, beside those
// of its association. All have ended when Serve returns.
func (l *Packets) Serve(ctx context.Context, h PacketHandler) error {
	l.mu.Lock()
	if l.served {
		l.mu.Unlock()
		return ErrServed
	}
	l.served = true
	closed := l.closed
	l.mu.Unlock()
	if closed {
		return nil
	}
	defer close(l.done)
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	f := l.front()
	life, stop := context.WithCancel(ctx)
	var sweeping, reading sync.WaitGroup
	sweeping.Go(func() { l.sweep(life, f, h) })
	for i := range l.sockets {
		reading.Go(func() { l.read(life, i, f, h) })
	}
	reading.Wait()
	stop()
	_ = l.Close() // the sockets may have been closed by somebody else
	sweeping.Wait()
	f.wait()
	return nil
}

// Close stops to read and to send, and ends all peers.
func (l *Packets) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	if !l.served {
		close(l.done)
	}
	l.mu.Unlock()
	l.front().close()
	var errs []error
	for _, s := range l.sockets {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// Shutdown is Close that waits for Serve. Goodbyes are to be said before: cause
// is for the symmetry with [Listener.Shutdown].
func (l *Packets) Shutdown(ctx context.Context, _ error) error {
	err := l.Close()
	select {
	case <-l.done:
		return err
	default: // a ctx that has ended already is no reason to give up what is over
	}
	select {
	case <-l.done:
		return err
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("listen: a handler is stuck: %w", context.Cause(ctx)))
	}
}

// newcomer is why an address may not become a peer, or empty.
func (l *Packets) newcomer(s *state, a netip.Addr) (reason string) {
	switch {
	case !s.rules.allows(a):
		return RejectAccess
	case !l.limiter.Allow():
		return RejectRate
	}
	return ""
}

// refused counts what was not taken or not sent. A flood must not become one of
// log lines.
func (l *Packets) refused(from netip.AddrPort, reason string, err error) {
	l.obs.Rejected(reason)
	l.loud.say(func(more int) {
		l.log.Debug("datagram refused", "peer", from.String(), "reason", reason, "error", err, "suppressed", more)
	})
}
