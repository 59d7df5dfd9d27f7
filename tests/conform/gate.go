package conform

import (
	"context"
	"net"
	"sync"
)

// Gate is a device's end of a connection that can stop reading.
type Gate struct {
	net.Conn
	mu     sync.Mutex
	open   chan struct{} // closed while reading is allowed
	closed chan struct{}
	once   sync.Once
}

// DialGate connects with a small receive buffer, so that a device that stops
// reading is felt by the server soon.
func DialGate(ctx context.Context, network, addr string) (*Gate, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if t, ok := c.(*net.TCPConn); ok {
		if err := t.SetReadBuffer(8 << 10); err != nil {
			return nil, err
		}
	}
	g := &Gate{Conn: c, open: make(chan struct{}), closed: make(chan struct{})}
	close(g.open)
	return g, nil
}

// Deaf stops or resumes reading; a Read that is under way still returns.
func (g *Gate) Deaf(yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		if yes {
			g.open = make(chan struct{})
		}
	default:
		if !yes {
			close(g.open)
		}
	}
}

// Read implements net.Conn.
func (g *Gate) Read(p []byte) (int, error) {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	select {
	case <-open:
		return g.Conn.Read(p)
	case <-g.closed:
		return 0, net.ErrClosed
	}
}

// Close implements net.Conn; it may be called twice.
func (g *Gate) Close() (err error) {
	g.once.Do(func() {
		close(g.closed)
		err = g.Conn.Close()
	})
	return err
}
