package privtcp

import "bytes"

// token is what stands at one place between marks.
type token int

const (
	literal token = iota
	partial       // more bytes must come to tell
	endMark
	startMark
	escaped
	bare // a literal that the sender should have escaped
)

// marks is a Framing of marks, prepared for reading. Validate sees to it that no
// mark or escape begins with another, so at most one stands at a place.
type marks struct {
	f *Framing
	// shared tells that the end mark of a frame may start the next one.
	shared bool
	// restart tells that a start mark cannot stand inside a frame.
	restart bool
	// special has the bytes that may be more than literals.
	special [256]bool
	// never has the bytes that are always escaped.
	never [256]bool
}

// marksOf returns a value, so that Append needs no memory for it.
func marksOf(f *Framing) marks {
	m := marks{f: f, shared: f.shared(), restart: f.restarts()}
	m.special[f.End[0]] = true
	if m.restart {
		m.special[f.Start[0]] = true
	}
	for _, e := range f.Escapes {
		m.special[e.To[0]] = true
		if len(e.From) == 1 {
			m.special[e.From[0]], m.never[e.From[0]] = true, true
		}
	}
	return m
}

func (f *Framing) shared() bool {
	return len(f.Start) == 0 || bytes.Equal(f.Start, f.End)
}

// restarts tells whether escapes keep the start mark out of frames.
func (f *Framing) restarts() bool {
	if f.shared() {
		return false
	}
	for _, e := range f.Escapes {
		if bytes.Contains(f.Start, e.From) {
			return true
		}
	}
	return false
}

// token tells what b, not empty, begins with, and the escape if it is one.
func (m *marks) token(b []byte) (token, *Escape) {
	found := literal
	for i := range m.f.Escapes {
		e := &m.f.Escapes[i]
		switch {
		case bytes.HasPrefix(b, e.To):
			return escaped, e
		case bytes.HasPrefix(e.To, b):
			found = partial
		}
	}
	switch {
	case bytes.HasPrefix(b, m.f.End):
		return endMark, nil
	case m.restart && bytes.HasPrefix(b, m.f.Start):
		return startMark, nil
	case bytes.HasPrefix(m.f.End, b), m.restart && bytes.HasPrefix(m.f.Start, b):
		return partial, nil
	case found == literal && m.never[b[0]]:
		return bare, nil
	}
	return found, nil
}

// plain is the number of bytes at the front of b that are literals for sure.
func (m *marks) plain(b []byte) int {
	for i, c := range b {
		if m.special[c] {
			return i
		}
	}
	return len(b)
}

// reads tells whether wire, what stands behind a start mark, is read as body and
// then ends exactly at its end mark.
func (m *marks) reads(wire, body []byte) bool {
	for len(wire) > 0 {
		if n := min(m.plain(wire), len(body)); n > 0 {
			if !bytes.Equal(wire[:n], body[:n]) {
				return false
			}
			wire, body = wire[n:], body[n:]
			continue
		}
		switch what, e := m.token(wire); what {
		case endMark:
			return len(body) == 0 && len(wire) == len(m.f.End)
		case escaped:
			if !bytes.HasPrefix(body, e.From) {
				return false
			}
			wire, body = wire[len(e.To):], body[len(e.From):]
		case literal:
			if len(body) == 0 || body[0] != wire[0] {
				return false
			}
			wire, body = wire[1:], body[1:]
		default:
			return false
		}
	}
	return false
}
