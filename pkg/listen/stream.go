package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"
)

var (
	errTimeout = errors.New("listen: handshake timeout")
	errAccess  = errors.New("listen: denied by an access rule")
)

// run is the goroutine of one connection.
func (l *Listener) run(ctx context.Context, c *Conn, up *upgrader, h Handler) {
	defer l.leave(c)
	defer l.close(c)
	defer l.guard(c)
	if reason, err := l.prepare(ctx, c, up); err != nil {
		l.refused(c, reason, err)
		return
	}
	h(ctx, c)
}

// close closes what the handler may have left open. The socket goes even if what
// lies above it panics.
func (l *Listener) close(c *Conn) {
	defer func() { _ = c.socket.Close() }()
	defer l.guard(c)
	_ = c.Close()
}

// prepare does all that waits for the peer before its protocol begins.
func (l *Listener) prepare(ctx context.Context, c *Conn, up *upgrader) (reason string, err error) {
	s := l.state.Load()
	if s.conf.ProxyProtocol {
		err := bounded(ctx, s.conf.ProxyProtocolTimeout, c.socket, func(context.Context) error {
			return c.proxied()
		})
		if err != nil {
			return RejectProxy, err
		}
		if !s.rules.allows(c.addr()) {
			return RejectAccess, errAccess
		}
	}
	if s.tls == nil && up == nil {
		return "", nil
	}
	return RejectHandshake, bounded(ctx, s.conf.HandshakeTimeout, c.socket, func(ctx context.Context) error {
		if s.tls != nil {
			if err := c.secure(s.tls); err != nil {
				return err
			}
		}
		if up != nil {
			return up.upgrade(ctx, c)
		}
		return nil
	})
}

// proxied takes the address that the PROXY header gives.
func (c *Conn) proxied() error {
	h, err := readProxy(c.socket)
	if err != nil {
		return err
	}
	if h.source.IsValid() {
		c.remote = net.TCPAddrFromAddrPort(h.source)
		c.CertCN = h.certCN
	}
	return nil
}

// secure does the TLS handshake with the configuration of this moment.
func (c *Conn) secure(conf *tls.Config) error {
	t := tls.Server(c.socket, conf)
	// Without a ctx of its own: bounded closes the socket, which costs nothing
	// while all goes well.
	if err := t.Handshake(); err != nil {
		return err
	}
	c.Conn = t
	if cn := commonName(t.ConnectionState()); cn != "" {
		c.CertCN = cn
	}
	return nil
}

// bounded runs f, which waits for a peer, and closes the socket under it when
// time is up or ctx ends.
func bounded(ctx context.Context, d time.Duration, socket net.Conn, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d, errTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	err := f(ctx)
	if !stop() { // the socket is closed, whatever f says
		return context.Cause(ctx)
	}
	return err
}
