package listen

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
)

// Conn is a connection of a device, ready for its protocol. The embedded
// net.Conn is the TCP or TLS connection or the WebSocket's byte stream.
//
// The zero value around a net.Conn is good for tests.
type Conn struct {
	net.Conn
	Listener    string // "tcp:default"
	CertCN      string // common name of a verified client certificate, here or at the proxy
	Subprotocol string // WebSocket: the negotiated one, or empty
	Path        string // WebSocket: of the URL

	socket net.Conn // under TLS and WebSocket; never changes
	remote net.Addr // from the PROXY header, or nil
}

// RemoteAddr is the device's address: behind a proxy the one of the PROXY header.
func (c *Conn) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

// ProxyAddr is the address of the proxy that the device came through, or nil.
func (c *Conn) ProxyAddr() net.Addr {
	if c.remote == nil {
		return nil
	}
	return c.Conn.RemoteAddr()
}

// TLS tells how the connection is encrypted; false for tcp and ws.
func (c *Conn) TLS() (tls.ConnectionState, bool) {
	nc := c.Conn
	if w, ok := nc.(*wsConn); ok {
		nc = w.stream
	}
	if t, ok := nc.(*tls.Conn); ok {
		return t.ConnectionState(), true
	}
	return tls.ConnectionState{}, false
}

// CloseWrite tells the device that nothing more comes, so that it can read the
// last words before the connection is closed. TCP and TLS go on reading. A
// WebSocket has no half that could close: it does its closing handshake, for
// which it throws away what still comes, and Read ends.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// addr is where the device is, or the invalid address.
func (c *Conn) addr() netip.Addr { return addrOf(c.RemoteAddr()) }

func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr()
	}
	return netip.Addr{}
}
