package stomp

import (
	"bytes"
	"fmt"
	"strings"
)

// parseLength reads the value of content-length: decimal digits and nothing
// else, so neither "+5" nor "-1". The examples of 1.0 pad header values, so
// blanks around the digits pass there. The length is -1 on error.
func (s *scanner) parseLength(value []byte) (int, error) {
	if s.version < V11 {
		value = bytes.Trim(value, " ")
	}
	if len(value) == 0 {
		return -1, ErrBadContentLength
	}
	n := 0
	for _, c := range value {
		if c < '0' || c > '9' {
			return -1, ErrBadContentLength
		}
		// Clamped rather than overflowing; every limit lies below.
		n = min(n*10+int(c-'0'), limitCeiling+1)
	}
	if n > s.limits.MaxBodyLength {
		return -1, s.bodyTooLong()
	}
	return n, nil
}

func (s *scanner) bodyTooLong() error {
	return fmt.Errorf("%w: limit %d bytes", ErrBodyTooLong, s.limits.MaxBodyLength)
}

// refusesBody tells whether a body is an error. Outside SEND, MESSAGE and
// ERROR 1.1 and 1.2 forbid one. 1.0 says that a body "is ignored", and so is
// one after CONNECT, whose version is not settled.
func (s *scanner) refusesBody() bool {
	return s.version >= V11 && !mayHaveBody(s.command) && !opensConnection(s.command)
}

// scanCountedBody takes as many octets as content-length says, NULs included,
// and requires a NUL behind them.
func (s *scanner) scanCountedBody(b []byte) (int, error) {
	if s.length > 0 && s.refusesBody() {
		return 0, ErrUnexpectedBody
	}
	end := s.pos + s.length
	if len(b) <= end {
		return 0, ErrIncomplete
	}
	if b[end] != 0 {
		return 0, fmt.Errorf("%w: content-length %d", ErrMissingNUL, s.length)
	}
	s.body = s.length
	return end + 1, nil
}

// scanOpenBody takes everything up to the first NUL.
func (s *scanner) scanOpenBody(b []byte) (int, error) {
	rest := b[s.pos:]
	if len(rest) > 0 && rest[0] != 0 && s.refusesBody() {
		return 0, ErrUnexpectedBody
	}
	window := s.limits.MaxBodyLength + 1
	rest = rest[:min(len(rest), window)]
	if i := bytes.IndexByte(rest[s.seen:], 0); i >= 0 {
		s.body = s.seen + i
		return s.pos + s.body + 1, nil
	}
	if len(rest) == window {
		return 0, s.bodyTooLong()
	}
	s.seen = len(rest)
	return 0, ErrIncomplete
}

// frame makes the Frame out of b after scan said nil, or an error about the
// body: then it has the headers only, for the receipt-id of the ERROR frame.
// It costs one string for all headers, one slice of headers and one body.
func (s *scanner) frame(b []byte, scanned error) (Frame, error) {
	if s.phase != inBody {
		return Frame{}, scanned
	}
	f := Frame{Command: s.command, Headers: s.makeHeaders(b)}
	if scanned == nil && s.body > 0 && mayHaveBody(s.command) {
		f.Body = make([]byte, s.body)
		copy(f.Body, b[s.pos:])
	}
	return f, scanned
}

func (s *scanner) makeHeaders(b []byte) []Header {
	if s.count == 0 {
		return nil
	}
	headers := make([]Header, s.count)
	// Unescaping only shrinks, so the builder never moves and the strings cut
	// from it on the way stay good.
	var text strings.Builder
	text.Grow(s.pos - s.headers)
	rest := b[s.headers:s.pos]
	for i := range headers {
		line, after, _ := bytes.Cut(rest, []byte{'\n'})
		name, value, _ := bytes.Cut(s.trimCR(line), []byte{':'})
		start := text.Len()
		s.write(&text, name)
		middle := text.Len()
		s.write(&text, value)
		all := text.String()
		headers[i] = Header{Name: all[start:middle], Value: all[middle:]}
		rest = after
	}
	return headers
}

func (s *scanner) write(text *strings.Builder, b []byte) {
	if s.literal {
		text.Write(b)
		return
	}
	writeUnescaped(text, b)
}
