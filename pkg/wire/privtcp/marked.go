package privtcp

// marked returns the next frame between marks.
func (s *Splitter) marked() ([]byte, error) {
	for {
		if !s.inside {
			if !s.find(s.f.Start) {
				return nil, ErrIncomplete
			}
			s.take(len(s.f.Start))
			s.inside = true
		}
		what, err := s.scan()
		switch {
		case err != nil: // the rest of the frame is dropped as it comes
			s.skip = true
			return nil, s.refuse(err)
		case what == partial:
			if s.skip {
				s.drop(s.read)
			}
			return nil, ErrIncomplete
		case what == startMark:
			if s.restart() {
				return nil, s.refuse(ErrCut)
			}
		default:
			if frame, err := s.finish(); frame != nil || err != nil {
				return frame, err
			}
		}
	}
}

// scan reads tokens up to a mark, and undoes escapes on the way. It returns
// partial when it needs more bytes, and an error when the frame is refused.
func (s *Splitter) scan() (token, error) {
	for s.read < len(s.buf) {
		rest := s.buf[s.read:]
		if n := min(s.marks.plain(rest), s.room()); n > 0 {
			s.put(rest[:n], n)
			continue
		}
		what, escape := s.marks.token(rest)
		switch what {
		case startMark, partial:
			return what, nil
		case endMark:
			if len(rest) < len(s.f.End)+s.f.after() {
				return partial, nil
			}
			return endMark, nil
		case escaped:
			if s.room() < len(escape.To) {
				return literal, ErrTooLong
			}
			s.put(escape.From, len(escape.To))
			continue
		case bare:
			if !s.skip {
				return literal, ErrEscape
			}
		case literal:
		}
		if s.room() == 0 {
			return literal, ErrTooLong
		}
		s.put(rest[:1], 1)
	}
	return partial, nil
}

// room is the number of bytes that may still come before the end mark.
func (s *Splitter) room() int {
	if s.skip {
		return len(s.buf)
	}
	return s.f.max() - len(s.f.Start) - len(s.f.End) - s.f.after() - s.read
}

// put adds b, for which n bytes were read, to the frame.
func (s *Splitter) put(b []byte, n int) {
	if !s.skip {
		copy(s.buf[s.wrote:], b)
	}
	s.read += n
	s.wrote += len(b)
}

// restart starts anew at a start mark, and tells whether a frame was cut by it.
func (s *Splitter) restart() bool {
	cut := !s.skip && s.read > 0
	s.drop(s.read + len(s.f.Start))
	s.skip = false
	return cut
}

// finish takes the frame before the end mark. It returns neither frame nor error
// when there is none: behind one that was refused, or between two shared marks.
func (s *Splitter) finish() ([]byte, error) {
	s.inside = s.marks.shared
	end := s.read + len(s.f.End) + s.f.after()
	if s.skip {
		s.drop(end)
		s.skip = false
		return nil, nil
	}
	if s.read == 0 && s.marks.shared {
		s.take(end)
		return nil, nil
	}
	checked, kept := s.wrote, s.wrote-s.f.trailer()
	if s.f.after() > 0 {
		kept = s.wrote
		// The checksum is counted with the end mark, in one piece.
		checked += copy(s.buf[s.wrote:], s.buf[s.read:end])
	}
	if !s.f.Checksum.right(s.buf[:checked]) {
		s.drop(end)
		return nil, s.refuse(ErrChecksum)
	}
	return s.take(end)[:kept:kept], nil
}
