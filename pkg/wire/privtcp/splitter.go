package privtcp

import (
	"bytes"
	"errors"
)

// idleRoom is the memory that a Splitter keeps between frames.
const idleRoom = 1 << 10

// Splitter cuts a byte stream into payloads. It holds no more than the frame that
// is under way, at most Max bytes and one chunk. It is not safe for concurrent use.
type Splitter struct {
	f     Framing
	marks *marks // of Marks only

	buf []byte // what is not cut yet: lies in own, or in the chunk
	own []byte

	seen   int  // bytes of buf known to hold no delimiter
	skip   bool // until the end of a frame that was refused
	inside bool // behind a start mark
	read   int  // bytes of buf that were read as tokens ...
	wrote  int  // ... and made so many, at the front of buf

	lost  error
	stats Stats
}

// Stats count what a Splitter threw away.
type Stats struct {
	Junk    uint64 // bytes outside of frames, and of frames that were dropped
	Dropped uint64 // frames
}

// NewSplitter returns a Splitter at the start of a stream. With a Framing that
// Validate refuses, Next returns that error.
func NewSplitter(f Framing) *Splitter {
	s := &Splitter{f: f, lost: f.Validate()}
	if f.Kind == Marks && s.lost == nil {
		m := marksOf(&s.f)
		s.marks = &m
		s.inside = len(f.Start) == 0
	}
	return s
}

// Stats tells what was thrown away so far.
func (s *Splitter) Stats() Stats { return s.stats }

// Buffered is the number of bytes that wait for the rest of their frame.
func (s *Splitter) Buffered() int { return len(s.buf) }

// Feed gives the Splitter the next bytes of the stream. The chunk is its own, to
// write to, until Next returns ErrIncomplete or a lost Fault.
func (s *Splitter) Feed(chunk []byte) {
	if len(s.buf) == 0 {
		s.buf = chunk
		return
	}
	s.settle(len(chunk))
	s.own = append(s.own, chunk...)
	s.buf = s.own
}

// settle moves the rest to memory of the Splitter, with room for more.
func (s *Splitter) settle(more int) {
	need := len(s.buf) + more
	switch {
	case need > cap(s.own):
		// Grows by doubling, but not beyond what a frame can need.
		room := max(need, min(2*cap(s.own), s.f.max()))
		s.own = append(make([]byte, 0, room), s.buf...)
	case len(s.buf) > 0 && &s.buf[0] == &s.own[:1][0]:
		s.own = s.buf // is there, and long frames must not be moved for each byte
	default:
		s.own = append(s.own[:0], s.buf...) // may overlap
	}
	s.buf = s.own
	if need == 0 && cap(s.own) > idleRoom {
		s.own, s.buf = nil, nil
	}
}

// Next returns the next payload, good until the next call of Next or Feed. The
// error is ErrIncomplete when the Splitter needs another chunk, or a *Fault.
func (s *Splitter) Next() ([]byte, error) {
	if s.lost != nil {
		return nil, s.lost
	}
	payload, err := s.next()
	if errors.Is(err, ErrIncomplete) {
		s.settle(0)
	}
	return payload, err
}

func (s *Splitter) next() ([]byte, error) {
	switch s.f.Kind {
	case Fixed, Length:
		return s.counted()
	case Delimiter:
		return s.delimited()
	case Marks:
		return s.marked()
	default: // raw
		if len(s.buf) == 0 {
			return nil, ErrIncomplete
		}
		return s.take(min(len(s.buf), s.f.max())), nil
	}
}

// take cuts n bytes off what is to be read.
func (s *Splitter) take(n int) []byte {
	b := s.buf[:n:n]
	s.buf = s.buf[n:]
	s.seen, s.read, s.wrote = 0, 0, 0
	return b
}

// drop throws n bytes away.
func (s *Splitter) drop(n int) {
	s.stats.Junk += uint64(n)
	s.take(n)
}

// find throws away all that comes before mark, and tells whether it is there. Of
// bytes that may be its beginning it keeps as many as need be.
func (s *Splitter) find(mark []byte) bool {
	if i := bytes.Index(s.buf, mark); i >= 0 {
		s.drop(i)
		return true
	}
	s.drop(max(0, len(s.buf)-len(mark)+1))
	return false
}

// refuse makes the Fault of a frame that is dropped.
func (s *Splitter) refuse(reason error) error {
	s.stats.Dropped++
	return &Fault{Reason: reason}
}

// lose gives the stream up.
func (s *Splitter) lose(reason error) error {
	s.stats.Dropped++
	s.lost = &Fault{Reason: reason, Lost: true}
	s.buf, s.own = nil, nil
	return s.lost
}
