package jt808

import (
	"fmt"
	"net"
	"time"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/jt808"
)

// writer collects frames until the owner has nothing else to do.
type writer struct {
	nc      net.Conn
	env     gateway.Env
	timeout time.Duration
	buf     []byte
}

// add appends one frame.
func (w *writer) add(f jt808.Frame) error {
	buf, err := jt808.Append(w.buf, f)
	if err != nil {
		return err
	}
	w.buf = buf
	w.env.Metrics.FrameOut(nameOf(f.ID))
	return nil
}

// flush writes all of it. A terminal that takes nothing for too long is cut off.
func (w *writer) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	if err := w.nc.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return gateway.ErrClosed
	}
	n, err := w.nc.Write(w.buf)
	w.env.Metrics.BytesOut(n)
	if w.buf = w.buf[:0]; cap(w.buf) > keepBuffer {
		w.buf = nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", gateway.ErrSlow, err)
	}
	return nil
}

const keepBuffer = 64 << 10

// nameOf is the name of a message in metrics.
func nameOf(id uint16) string {
	if _, known := jt808.Lookup(id); known {
		return name(id)
	}
	return other
}
