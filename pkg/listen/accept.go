package listen

import (
	"context"
	"errors"
	"net"
	"time"
)

const (
	minBackoff = 5 * time.Millisecond
	maxBackoff = time.Second
)

// ErrServed is returned by a second Serve.
var ErrServed = errors.New("listen: listener is served already")

// Serve accepts until Close, Shutdown or the end of ctx, and returns when all
// handlers have, or were given up. The end of ctx is a Shutdown with its cause
// within [DrainTimeout].
//
// Goroutines: this one accepts; one a connection, ended by its handler; for ws
// and wss one for the HTTP server, ended before Serve returns.
func (l *Listener) Serve(ctx context.Context, h Handler) error {
	inner, end := context.WithCancelCause(ctx)
	defer end(nil)
	l.mu.Lock()
	if l.end != nil {
		l.mu.Unlock()
		return ErrServed
	}
	l.end = end
	l.mu.Unlock()

	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var up *upgrader
	if l.state.Load().conf.webSocket() {
		up = newUpgrader(inner, l)
		defer up.stop()
	}
	l.acceptAll(inner, up, h)
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), DrainTimeout, errors.New("drain timeout"))
	defer cancel()
	return l.Shutdown(drain, context.Cause(ctx))
}

// acceptAll returns when the listener is closed. Other errors pass (no file
// descriptors, a peer that is gone already), so it tries again, later and later.
func (l *Listener) acceptAll(ctx context.Context, up *upgrader, h Handler) {
	var delay time.Duration
	for {
		nc, err := l.socket.Accept()
		switch {
		case err == nil:
			delay = 0
			if c := l.admit(nc); c != nil {
				go l.run(ctx, c, up, h)
			}
		case errors.Is(err, net.ErrClosed):
			_ = l.Close() // by somebody else, if it was not
			return
		default:
			delay = min(max(2*delay, minBackoff), maxBackoff)
			l.loud.say(func(more int) {
				l.log.Warn("accept failed, trying again", "error", err, "delay", delay, "suppressed", more)
			})
			if !l.pause(delay) {
				return
			}
		}
	}
}

func (l *Listener) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.closing:
		return false
	}
}

// admit decides about a new connection without waiting for anything. It returns
// nil for one that is refused and closed.
func (l *Listener) admit(nc net.Conn) *Conn {
	s := l.state.Load()
	c := &Conn{Conn: nc, Listener: l.id, socket: nc}
	if reason := l.refusal(s, c); reason != "" {
		l.refused(c, reason, nil)
		reset(nc)
		return nil
	}
	if !l.enter(c) {
		reset(nc)
		return nil
	}
	l.obs.Opened()
	s.tune(nc)
	return c
}

// refusal is why a connection may not even begin.
func (l *Listener) refusal(s *state, c *Conn) string {
	switch {
	// Behind a proxy the address that counts is not known yet.
	case !s.conf.ProxyProtocol && !s.rules.allows(c.addr()):
		return RejectAccess
	case l.Current() >= s.conf.MaxConnections:
		return RejectMaxConnections
	case !l.limiter.Allow():
		return RejectRate
	}
	return ""
}

func (l *Listener) refused(c *Conn, reason string, err error) {
	l.log.Debug("connection refused", "peer", c.RemoteAddr().String(), "reason", reason, "error", err)
	l.obs.Rejected(reason)
}

// enter counts a connection in, unless the listener is closed. Only the accept
// loop enters, so the cap that refusal has looked at holds.
func (l *Listener) enter(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

// leave is the last that a connection's goroutine does.
func (l *Listener) leave(c *Conn) {
	l.obs.Closed()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	l.finishIfIdle()
}

// tune sets socket options. One that the kernel refuses is no reason to refuse
// the device.
func (s *state) tune(nc net.Conn) {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	o := s.conf.TCP
	_ = t.SetNoDelay(o.NoDelay)
	_ = t.SetKeepAliveConfig(s.keepAlive)
	if o.SendBuffer > 0 {
		_ = t.SetWriteBuffer(o.SendBuffer)
	}
	if o.RecvBuffer > 0 {
		_ = t.SetReadBuffer(o.RecvBuffer)
	}
}

// reset closes without TIME_WAIT: a storm of refused connections leaves nothing.
func reset(nc net.Conn) {
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = nc.Close()
}
