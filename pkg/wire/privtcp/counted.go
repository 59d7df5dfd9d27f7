package privtcp

import (
	"bytes"
	"errors"
)

// counted returns the next frame whose length is known from its front.
func (s *Splitter) counted() ([]byte, error) {
	for {
		if len(s.f.Start) > 0 && !s.find(s.f.Start) || len(s.buf) == 0 {
			return nil, ErrIncomplete
		}
		n, err := s.f.frameLength(s.buf)
		switch {
		case errors.Is(err, ErrIncomplete):
			return nil, err
		case err != nil && len(s.f.Start) == 0:
			return nil, s.lose(err)
		case err != nil:
			// That was no start; the next one may lie inside this one. One Fault is
			// enough until a frame has a length that can be.
			s.drop(1)
			if !s.skip {
				s.skip = true
				return nil, s.refuse(err)
			}
			continue
		case len(s.buf) < n:
			return nil, ErrIncomplete
		}
		s.skip = false
		if !s.f.Checksum.right(s.buf[:n]) {
			return nil, s.miscounted(n)
		}
		return s.take(n)[s.f.strip() : n-s.f.trailer()], nil
	}
}

// miscounted drops a frame with a wrong checksum. Its length may be what is wrong,
// but to look for a start inside of it would be to read bytes many times over.
func (s *Splitter) miscounted(n int) error {
	if len(s.f.Start) == 0 {
		return s.lose(ErrChecksum)
	}
	s.drop(n)
	return s.refuse(ErrChecksum)
}

// delimited returns the next frame that ends in a delimiter.
func (s *Splitter) delimited() ([]byte, error) {
	d := s.f.Delimiter
	if s.skip {
		if !s.find(d) {
			return nil, ErrIncomplete
		}
		s.drop(len(d))
		s.skip = false
	}
	window := s.buf[:min(len(s.buf), s.f.max())]
	from := max(0, s.seen-len(d)+1)
	i := bytes.Index(window[from:], d)
	switch {
	case i < 0 && len(window) == s.f.max():
		s.skip = true
		return nil, s.refuse(ErrTooLong)
	case i < 0:
		s.seen = len(window)
		return nil, ErrIncomplete
	}
	end := from + i
	if !s.f.Checksum.right(s.buf[:end]) {
		s.drop(end + len(d))
		return nil, s.refuse(ErrChecksum)
	}
	frame := s.take(end + len(d))
	if s.f.KeepDelimiter {
		return frame, nil
	}
	return frame[:end-s.f.trailer()], nil
}
