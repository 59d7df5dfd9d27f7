package stomp

import (
	"errors"
	"io"
)

// maxEmptyReads is how often in a row a source may return neither bytes nor
// an error before Read gives up with io.ErrNoProgress.
const maxEmptyReads = 100

// Reader reads frames off a byte stream, of either direction. It buffers, so
// nothing else may read from the source. It is not safe for concurrent use.
type Reader struct {
	source  io.Reader
	limits  Limits
	version Version
	buf     buffer
	scanner scanner
	inFrame bool  // the buffer starts with a frame that scanner has begun
	pending error // came with the last bytes from source
	refused error // the stream is out of step
}

// NewReader returns a Reader at version Unknown. Zero fields of l stand for
// their defaults.
func NewReader(r io.Reader, l Limits) *Reader {
	return &Reader{source: r, limits: l.withDefaults()}
}

// SetVersion sets the version by which the next frame is parsed. It must not
// be called during Read.
func (r *Reader) SetVersion(v Version) { r.version = v }

// Read returns the next frame, skipping EOLs before it. The frame shares no
// memory with the Reader.
//
// At the end of the stream it returns io.EOF between frames and
// io.ErrUnexpectedEOF inside one. Other errors of the source, such as an
// expired deadline, are returned as they are, and Read may be called again to
// go on. An error that matches ErrSyntax or ErrTooLarge is final: every later
// call returns it too. When such an error is about the body or its
// content-length, the frame returned with it has Command and Headers, for the
// receipt-id of the answer.
func (r *Reader) Read() (Frame, error) {
	if r.refused != nil {
		return Frame{}, r.refused
	}
	for {
		f, err := r.next()
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, ErrIncomplete) {
			r.refused = err
			r.buf.release()
			return f, err
		}
		if err := r.fill(); err != nil {
			return Frame{}, err
		}
	}
}

// next takes one frame off the buffer.
func (r *Reader) next() (Frame, error) {
	if !r.inFrame {
		n, err := skipEOLs(r.buf.bytes())
		r.buf.discard(n)
		if err != nil {
			return Frame{}, err
		}
		if len(r.buf.bytes()) == 0 {
			return Frame{}, ErrIncomplete
		}
		r.scanner = newScanner(r.version, r.limits)
		r.inFrame = true
	}
	b := r.buf.bytes()
	n, err := r.scanner.scan(b)
	if errors.Is(err, ErrIncomplete) {
		return Frame{}, err
	}
	r.inFrame = false
	r.buf.discard(n)
	return r.scanner.frame(b, err)
}

// fill reads at least one byte into the buffer.
func (r *Reader) fill() error {
	for range maxEmptyReads {
		if err := r.pending; err != nil {
			r.pending = nil
			return r.ended(err)
		}
		n, err := r.source.Read(r.buf.room())
		r.buf.end += n
		r.pending = err
		if n > 0 {
			return nil
		}
	}
	return io.ErrNoProgress
}

// ended tells an end between frames from one inside. A CR waiting for its LF
// counts as inside.
func (r *Reader) ended(err error) error {
	if errors.Is(err, io.EOF) && len(r.buf.bytes()) > 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}
