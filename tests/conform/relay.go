package conform

import (
	"io"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Relay is the network between one node and NATS, which can be cut while NATS
// and everybody else stay.
//
// Goroutines: one accepts; two a connection; all ended by close.
type Relay struct {
	l    net.Listener
	to   string
	done sync.WaitGroup

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
}

func newRelay(t *testing.T, port int) *Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &Relay{l: l, to: "127.0.0.1:" + strconv.Itoa(port), conns: map[net.Conn]struct{}{}}
	r.done.Go(r.accept)
	return r
}

// URL is where the node connects.
func (r *Relay) URL() string { return "nats://" + r.l.Addr().String() }

// Cut breaks all connections and lets none through until Mend.
func (r *Relay) Cut() { r.set(true) }

// Mend lets connections through again.
func (r *Relay) Mend() { r.set(false) }

func (r *Relay) set(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
	for c := range r.conns {
		if cut {
			_ = c.Close()
		}
	}
}

func (r *Relay) close() {
	_ = r.l.Close()
	r.Cut()
	r.done.Wait()
}

func (r *Relay) accept() {
	for {
		c, err := r.l.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", r.to)
		if err != nil || !r.enter(c, up) {
			_ = c.Close()
			if err == nil {
				_ = up.Close()
			}
			continue
		}
		r.done.Go(func() { r.pipe(c, up) })
		r.done.Go(func() { r.pipe(up, c) })
	}
}

func (r *Relay) enter(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		if !r.cut {
			r.conns[c] = struct{}{}
		}
	}
	return !r.cut
}

// pipe ends with either side, and ends both.
func (r *Relay) pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_, _ = to.Close(), from.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, from)
}
