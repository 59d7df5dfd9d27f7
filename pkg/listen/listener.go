package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
	"golang.org/x/time/rate"
)

const (
	// DrainTimeout is how long Serve waits for handlers when its ctx has ended.
	DrainTimeout = 10 * time.Second
	// cutGrace is what handlers get to notice that their connection was cut.
	cutGrace = time.Second
)

// ErrShutdown is the cause of handlers' ctx if [Listener.Shutdown] gets none.
var ErrShutdown = errors.New("listen: shutting down")

// Handler serves one connection in a goroutine of its own. When it returns, the
// connection is closed. ctx ends when the device is to go, with the reason as its
// cause; the connection is still good then, to say goodbye.
type Handler func(ctx context.Context, c *Conn)

// Listener is a bound socket and the connections that came through it.
type Listener struct {
	id      string
	socket  net.Listener
	log     *slog.Logger
	obs     Observer
	limiter *rate.Limiter
	loud    *loudness // of what peers could make us log again and again
	state   atomic.Pointer[state]

	closing chan struct{} // closed by Close
	done    chan struct{} // closed when nobody accepts and no handler is waited for

	mu     sync.Mutex
	conns  map[*Conn]struct{}
	end    context.CancelCauseFunc // of the handlers' ctx; nil before Serve
	closed bool
	over   bool // done is closed
}

// state is what an update replaces, as a whole.
type state struct {
	conf      Config
	rules     rules
	tls       *tls.Config         // nil but for tls and wss
	dtls      []dtls.ServerOption // nil but for dtls
	keepAlive net.KeepAliveConfig
}

func newState(c Config) (*state, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &state{conf: c.normal()}
	if s.conf.Type == "" {
		return nil, errors.New("type: must be given")
	}
	var err error
	if s.rules, err = parseRules(c.AccessRules); err != nil {
		return nil, err
	}
	if s.keepAlive, err = parseKeepAlive(s.conf.TCP.KeepAlive); err != nil {
		return nil, err
	}
	switch s.conf.Type {
	case TLS, WSS:
		s.tls, err = newTLS(s.conf.TLS, s.conf.Type)
	case DTLS:
		s.dtls, err = newDTLS(s.conf.TLS)
	}
	return s, err
}

// Open binds the socket: a port that is taken, or a certificate that cannot be
// read, shows here. log and m may be nil.
func Open(cfg Config, log *slog.Logger, m Observer) (*Listener, error) {
	s, err := newState(cfg)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if s.conf.packets() {
		return nil, fmt.Errorf("listen: %s is for datagrams", s.conf.Type)
	}
	socket, err := net.Listen("tcp", s.conf.Bind)
	if err != nil {
		return nil, fmt.Errorf("listen: bind: %w", err)
	}
	return newListener(socket, s, log, m), nil
}

func newListener(socket net.Listener, s *state, log *slog.Logger, m Observer) *Listener {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if m == nil {
		m = blind{}
	}
	l := &Listener{
		id: s.conf.Type + ":" + s.conf.Name, socket: socket, obs: m,
		limiter: rate.NewLimiter(rate.Limit(s.conf.MaxConnRate), s.conf.MaxConnRate), loud: newLoudness(),
		closing: make(chan struct{}), done: make(chan struct{}), conns: map[*Conn]struct{}{},
	}
	l.log = log.With("listener", l.id)
	l.state.Store(s)
	return l
}

// Update changes what can change in place: caps, rates, access rules, timeouts,
// TLS files (read again), socket and WebSocket options. Connections that exist
// keep what they have. Another type, name or bind cannot: restart is true then,
// and nothing has changed, as with an error.
func (l *Listener) Update(cfg Config) (restart bool, err error) {
	s, err := newState(cfg)
	if err != nil {
		return false, fmt.Errorf("listen: %w", err)
	}
	old := l.state.Load().conf
	if s.conf.Type != old.Type || s.conf.Name != old.Name || s.conf.Bind != old.Bind {
		return true, nil
	}
	if s.conf.MaxConnRate != old.MaxConnRate {
		l.limiter.SetLimit(rate.Limit(s.conf.MaxConnRate))
		l.limiter.SetBurst(s.conf.MaxConnRate)
	}
	l.state.Store(s)
	return false, nil
}

// Addr is where the socket is bound.
func (l *Listener) Addr() net.Addr { return l.socket.Addr() }

// Current is the number of open connections, with those in a handshake.
func (l *Listener) Current() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// Close stops to accept. Established connections go on until their handlers
// return, and Serve waits for them.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.closing)
	err := l.socket.Close()
	l.finishIfIdle()
	return err
}

// Shutdown stops to accept, ends the handlers' ctx with the cause, and waits for
// them. What is left when ctx ends is cut, which is an error.
func (l *Listener) Shutdown(ctx context.Context, cause error) error {
	err := l.Close()
	if cause == nil {
		cause = ErrShutdown
	}
	l.mu.Lock()
	end := l.end
	l.mu.Unlock()
	if end != nil {
		end(cause)
	}
	select {
	case <-l.done:
		return err
	default: // a ctx that has ended already is no reason to cut where nothing is left
	}
	select {
	case <-l.done:
		return err
	case <-ctx.Done():
	}
	cut := l.cut()
	grace := time.NewTimer(cutGrace)
	defer grace.Stop()
	select {
	case <-l.done:
		return errors.Join(err, fmt.Errorf("listen: %d connections cut: %w", cut, context.Cause(ctx)))
	case <-grace.C:
		return errors.Join(err, fmt.Errorf("listen: %d of %d handlers are stuck: %w", l.abandon(), cut, context.Cause(ctx)))
	}
}

// cut closes all sockets. It goes below TLS and WebSocket, which would say
// goodbye to a peer that does not listen.
func (l *Listener) cut() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.socket.Close()
	}
	return len(l.conns)
}

// abandon gives handlers up that do not return.
func (l *Listener) abandon() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finish()
	return len(l.conns)
}

func (l *Listener) finishIfIdle() {
	if l.closed && len(l.conns) == 0 {
		l.finish()
	}
}

func (l *Listener) finish() {
	if !l.over {
		l.over = true
		close(l.done)
	}
}
