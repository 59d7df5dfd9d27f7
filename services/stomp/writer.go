package stomp

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

const (
	fullBuffer  = 32 << 10 // then it is written out, whatever else waits
	largeBuffer = 64 << 10 // not kept
	manyEvents  = 256      // not kept
	goodbyeTime = time.Second
)

// scratch is memory that a connection has only while it works: ten thousand
// idle ones have none.
type scratch struct {
	out     []byte             // encoded and not yet written
	headers []stomp.Header     // of the frame being encoded
	sent    []gateway.Delivery // in out, and done once that is written
	events  []gateway.Event    // taken from the door
}

// buffers lends scratches to the connections of an instance.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { return &scratch{out: make([]byte, 0, 4<<10)} }}}
}

func (b *buffers) get() *scratch { return b.pool.Get().(*scratch) }

// put takes a scratch back, without references to messages and without what a
// burst made it grow to.
func (b *buffers) put(s *scratch) {
	if cap(s.out) > largeBuffer || cap(s.events) > manyEvents || cap(s.sent) > manyEvents {
		return
	}
	clear(s.headers[:cap(s.headers)])
	clear(s.events[:cap(s.events)])
	clear(s.sent[:cap(s.sent)])
	s.out, s.headers, s.events, s.sent = s.out[:0], s.headers[:0], s.events[:0], s.sent[:0]
	b.pool.Put(s)
}

// writer is the writing half of a connection: what is due is gathered and
// written at once.
type writer struct {
	*scratch // nil while idle
	nc       net.Conn
	env      gateway.Env
	buffers  *buffers
	timeout  time.Duration
	last     time.Time // of the last bytes written
	failed   error     // a frame may be half out: nothing more can be said
}

func (w *writer) work() *scratch {
	if w.scratch == nil {
		w.scratch = w.buffers.get()
	}
	return w.scratch
}

// rest gives the memory back when nothing waits in it.
func (w *writer) rest() {
	if w.scratch != nil && len(w.out) == 0 && len(w.sent) == 0 {
		w.buffers.put(w.scratch)
		w.scratch = nil
	}
}

// frame encodes a frame for a receiver of version v.
func (w *writer) frame(f stomp.Frame, v stomp.Version) error {
	s := w.work()
	out, err := f.Append(s.out, v)
	if err != nil {
		return err
	}
	s.out = out
	w.env.Metrics.FrameOut(f.Command)
	return nil
}

// heartBeat is one EOL (STOMP 1.2 "Heart-beating"), counted under this name.
const heartBeat = "HEARTBEAT"

func (w *writer) beat() {
	s := w.work()
	s.out = append(s.out, '\n')
	w.env.Metrics.FrameOut(heartBeat)
}

func (w *writer) full() bool { return w.scratch != nil && len(w.out) >= fullBuffer }

// flush writes all that waits and tells the door of the messages in it.
func (w *writer) flush(ctx context.Context) error {
	if w.failed != nil {
		return w.failed
	}
	if w.scratch == nil || len(w.out) == 0 {
		return nil
	}
	w.deadline(ctx)
	n, err := w.nc.Write(w.out)
	w.env.Metrics.BytesOut(n)
	w.out = w.out[:0]
	if err != nil {
		w.failed = gateway.ErrClosed
		if errors.Is(err, os.ErrDeadlineExceeded) {
			w.failed = gateway.ErrSlow
		}
		w.settle(w.failed)
		return w.failed
	}
	w.last = time.Now()
	w.settle(nil)
	return nil
}

// deadline bounds the write. One that begins when ctx has ended is a goodbye,
// and one that is under way then is shortened by hurry.
func (w *writer) deadline(ctx context.Context) {
	_ = w.nc.SetWriteDeadline(time.Now().Add(w.timeout))
	if ctx.Err() != nil {
		w.hurry()
	}
}

// hurry may be called from any goroutine.
func (w *writer) hurry() { _ = w.nc.SetWriteDeadline(time.Now().Add(min(w.timeout, goodbyeTime))) }

func (w *writer) settle(err error) {
	for i := range w.sent {
		w.sent[i].Done(err)
	}
	clear(w.sent)
	w.sent = w.sent[:0]
}

// drop gives up what waits.
func (w *writer) drop() {
	if w.scratch != nil {
		w.settle(gateway.ErrClosed)
		w.out = w.out[:0]
		w.rest()
	}
}
