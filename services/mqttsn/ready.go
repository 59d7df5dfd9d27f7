package mqttsn

import "sync"

// ready is the queue of conns for which something has come that is not a
// datagram. A conn is in it once; what has come is found where it lies. put may
// be called with any lock held.
type ready struct {
	mu          sync.Mutex
	some        sync.Cond
	first, last *conn
	closed      bool
}

func newReady() *ready {
	r := &ready{}
	r.some.L = &r.mu
	return r
}

// put adds a conn unless it waits already.
func (r *ready) put(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.queued || r.closed {
		return
	}
	c.queued = true
	if r.last == nil {
		r.first = c
	} else {
		r.last.next = c
	}
	r.last = c
	r.some.Signal()
}

// take waits for a conn; false after close. From then on put adds it again.
func (r *ready) take() (*conn, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.first == nil && !r.closed {
		r.some.Wait()
	}
	if r.closed {
		return nil, false
	}
	c := r.first
	if r.first = c.next; r.first == nil {
		r.last = nil
	}
	c.next, c.queued = nil, false
	return c, true
}

func (r *ready) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.some.Broadcast()
}
