package jt808

import "bytes"

// Splitter finds the frames of one byte stream, however it is cut into chunks.
// What lies between frames is skipped and counted. Two flags side by side, or
// one that ends a frame and begins the next, are both understood: each flag ends
// what there is and begins something new (§4.4.2).
//
// Its memory is bounded by the longest content it takes.
type Splitter struct {
	Junk uint64 // bytes that were skipped

	max     int
	rest    []byte // of the chunk, not looked at yet
	buf     []byte // the content so far, unescaped
	opened  bool   // after a flag
	escaped bool   // the last byte was 7D
	bad     error  // of the frame that is being read
}

// NewSplitter takes contents of at most max bytes, [MaxContent] if it is 0.
func NewSplitter(max int) *Splitter {
	if max <= 0 {
		max = MaxContent
	}
	return &Splitter{max: max}
}

// Feed takes the next bytes of the stream. They are not kept: [Splitter.Next]
// must have been called until it had nothing before the chunk is used again.
func (s *Splitter) Feed(chunk []byte) { s.rest = chunk }

// Buffered is the number of bytes of a frame that has begun.
func (s *Splitter) Buffered() int { return len(s.buf) }

// Next is the content of the next frame, or why it is refused: [ErrEscape], or
// [ErrTooLong]. The stream goes on after such a one. ok is false when the chunk
// has no more. A content is valid until the next call.
func (s *Splitter) Next() (content []byte, err error, ok bool) { //nolint:revive // the error belongs to the frame, not to the call
	for len(s.rest) > 0 {
		at := bytes.IndexByte(s.rest, flag)
		piece := s.rest
		if at >= 0 {
			piece = s.rest[:at]
		}
		s.take(piece)
		if at < 0 {
			s.rest = nil
			break
		}
		s.rest = s.rest[at+1:]
		if content, err, ok := s.end(); ok {
			return content, err, true
		}
	}
	return nil, nil, false
}

// end is a flag.
func (s *Splitter) end() (content []byte, err error, ok bool) {
	content, err = s.buf, s.bad
	if s.escaped && err == nil {
		err = ErrEscape
	}
	began := s.opened
	s.buf, s.bad, s.escaped, s.opened = s.buf[:0], nil, false, true
	switch {
	case !began, err == nil && len(content) == 0:
		return nil, nil, false
	case err != nil:
		return nil, err, true
	}
	return content, nil, true
}

// take adds what lies between two flags to the content.
func (s *Splitter) take(piece []byte) {
	if !s.opened {
		s.Junk += uint64(len(piece))
		return
	}
	for len(piece) > 0 && s.bad == nil {
		if s.escaped {
			s.unescape(piece[0])
			piece = piece[1:]
			continue
		}
		n := bytes.IndexByte(piece, escape)
		plain := piece
		if n >= 0 {
			plain = piece[:n]
		}
		if len(s.buf)+len(plain) > s.max {
			s.bad, s.buf = ErrTooLong, s.buf[:0]
			return
		}
		s.buf = append(s.buf, plain...)
		if n < 0 {
			return
		}
		s.escaped, piece = true, piece[n+1:]
	}
}

func (s *Splitter) unescape(c byte) {
	s.escaped = false
	switch {
	case c != escapedEscape && c != escapedFlag:
		s.bad, s.buf = ErrEscape, s.buf[:0]
	case len(s.buf) == s.max:
		s.bad, s.buf = ErrTooLong, s.buf[:0]
	case c == escapedEscape:
		s.buf = append(s.buf, escape)
	default:
		s.buf = append(s.buf, flag)
	}
}
