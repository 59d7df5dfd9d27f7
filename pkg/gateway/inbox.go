package gateway

import (
	"slices"
	"sync"
)

// inbox is what waits for a connection's owner goroutine. It takes no memory
// while empty, and gives all at once: one wake-up, one batch, one write.
type inbox struct {
	wake   chan struct{} // 1 deep
	notify func()        // called instead, if not nil

	mu     sync.Mutex
	events []Event
	count  int // deliveries of plain subscriptions that wait
	bytes  int
	closed bool
}

// push adds an event that may not be lost: acks, and deliveries that are
// bounded by a window. It reports false after close.
func (b *inbox) push(e Event) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.events = append(b.events, e)
	b.mu.Unlock()
	b.signal()
	return true
}

// offer adds a delivery unless max messages or bytes wait already.
func (b *inbox) offer(e Event, maxCount, maxBytes int) bool {
	size := weight(e)
	b.mu.Lock()
	if b.closed || b.count >= maxCount || b.bytes+size > maxBytes {
		b.mu.Unlock()
		return false
	}
	b.count++
	b.bytes += size
	b.events = append(b.events, e)
	b.mu.Unlock()
	b.signal()
	return true
}

func (b *inbox) signal() {
	if b.notify != nil {
		b.notify()
		return
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take appends all events to buf and empties the box. A box that had a burst
// does not keep the burst's memory.
func (b *inbox) take(buf []Event) []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	buf = append(buf, b.events...)
	if cap(b.events) > 64 {
		b.events = nil
	} else {
		clear(b.events)
		b.events = b.events[:0]
	}
	b.count, b.bytes = 0, 0
	return buf
}

// remove takes the deliveries of one subscription out.
func (b *inbox) remove(sub string) (out []Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = slices.DeleteFunc(b.events, func(e Event) bool {
		if e.Kind != Delivered || e.Delivery.Sub != sub {
			return false
		}
		if e.Delivery.Seq == 0 { // it was offered
			b.count--
			b.bytes -= weight(e)
		}
		out = append(out, e)
		return true
	})
	return out
}

func weight(e Event) int { return len(e.Delivery.Msg.Payload) + 64 }

// close refuses further events and returns what nobody took.
func (b *inbox) close() []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := b.events
	b.events, b.closed = nil, true
	return left
}

func (b *inbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.events)
}
