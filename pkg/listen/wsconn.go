package listen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// wsGoodbye is what a peer gets to answer our close frame, and to take it.
const wsGoodbye = time.Second

// wsConn is a WebSocket as a byte stream; the package comment tells its rules.
//
// Deadlines are those of the connection under it. websocket's own way, by
// context, would cost a goroutine and a timer a call.
type wsConn struct {
	ws     *websocket.Conn
	ctx    context.Context // never ends
	stream net.Conn        // TCP or TLS
	path   string
	text   string // WSConfig.MessageType

	readMu  sync.Mutex
	message io.Reader // the one begun, or nil
	readErr error     // the reading side's last word

	writeMu sync.Mutex // one Write at a time
	limitMu sync.Mutex
	limit   time.Time // write deadline
	writing bool
	closed  sync.Once
}

// Read implements net.Conn.
func (w *wsConn) Read(p []byte) (int, error) {
	w.readMu.Lock()
	defer w.readMu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	for w.readErr == nil {
		if w.message == nil {
			var err error
			if _, w.message, err = w.ws.Reader(w.ctx); err != nil {
				w.readErr = plainError("read", err)
				break
			}
		}
		n, err := w.message.Read(p)
		switch {
		case errors.Is(err, io.EOF):
			w.message = nil
		case err != nil:
			// What is in p is half a frame, and still masked.
			w.readErr = plainError("read", err)
			n = 0
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, w.readErr
}

// Write implements net.Conn: one message.
func (w *wsConn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	w.writeMu.Lock()
	defer w.writeMu.Unlock()
	if !w.begin() {
		return 0, os.ErrDeadlineExceeded
	}
	defer w.rest()
	if err := w.ws.Write(w.ctx, w.kind(p), p); err != nil {
		return 0, plainError("write", err)
	}
	return len(p), nil
}

// kind is text where it may be: RFC 6455 8.1 makes a receiver fail a connection
// for a text message that is not UTF-8, and browsers do.
func (w *wsConn) kind(p []byte) websocket.MessageType {
	if w.text == MessageText || w.text == MessageAuto && utf8.Valid(p) {
		return websocket.MessageText
	}
	return websocket.MessageBinary
}

// begin arms the write deadline, which holds for Write only. An edge sets it
// before each Write and leaves it there; a pong, which Read sends by itself,
// would fail by it, and with it the connection.
func (w *wsConn) begin() bool {
	w.limitMu.Lock()
	defer w.limitMu.Unlock()
	if !w.limit.IsZero() && !time.Now().Before(w.limit) {
		return false // nothing has been written: the stream is still whole
	}
	w.writing = true
	_ = w.stream.SetWriteDeadline(w.limit)
	return true
}

func (w *wsConn) rest() {
	w.limitMu.Lock()
	defer w.limitMu.Unlock()
	w.writing = false
	_ = w.stream.SetWriteDeadline(time.Time{})
}

// SetDeadline implements net.Conn.
func (w *wsConn) SetDeadline(t time.Time) error {
	return errors.Join(w.SetReadDeadline(t), w.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn. Once it has ended a Read, all fail.
func (w *wsConn) SetReadDeadline(t time.Time) error { return w.stream.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn. It holds for a Write under way, too.
func (w *wsConn) SetWriteDeadline(t time.Time) error {
	w.limitMu.Lock()
	defer w.limitMu.Unlock()
	w.limit = t
	if !w.writing {
		return nil
	}
	return w.stream.SetWriteDeadline(t)
}

// LocalAddr implements net.Conn.
func (w *wsConn) LocalAddr() net.Addr { return w.stream.LocalAddr() }

// RemoteAddr implements net.Conn.
func (w *wsConn) RemoteAddr() net.Addr { return w.stream.RemoteAddr() }

// CloseWrite is Close: see [Conn.CloseWrite].
func (w *wsConn) CloseWrite() error { return w.Close() }

// Close does the closing handshake, within wsGoodbye, and closes.
func (w *wsConn) Close() error {
	w.closed.Do(func() {
		soon := time.Now().Add(wsGoodbye)
		_ = w.SetWriteDeadline(soon) // for a Write under way
		_ = w.stream.SetDeadline(soon)
		// It closes in any case; an error says that the peer did not answer.
		_ = w.ws.Close(websocket.StatusNormalClosure, "")
	})
	return nil
}

// plainError says what net.Conn's callers know: io.EOF for a peer that has gone,
// os.ErrDeadlineExceeded, net.ErrClosed.
func plainError(op string, err error) error {
	switch websocket.CloseStatus(err) {
	case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
		return io.EOF
	default:
	}
	for _, known := range []error{os.ErrDeadlineExceeded, net.ErrClosed, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	return fmt.Errorf("listen: websocket: %s: %w", op, err)
}
