package stomp

import (
	"bytes"
	"errors"
	"fmt"
)

// scanner finds the end of one frame in a growing slice of bytes. It checks
// each octet against syntax and limits as soon as it is there, remembers how
// far it came, and reaches the same verdict however the bytes are cut up:
// every decision depends on octets only, never on where the slice ends.
//
// It allocates nothing but errors; head and body make the Frame in the end.
type scanner struct {
	version Version
	limits  Limits

	phase   phase
	command string
	literal bool // no escapes in this frame
	crlf    bool // a CR before the LF belongs to the EOL, any other CR is an error

	pos     int // start of the line being scanned; the start of the body in the end
	seen    int // bytes after pos already searched
	headers int // start of the first header line
	count   int // header lines passed
	length  int // content-length, -1 when missing
	body    int // size of the body when it is complete

	// lengthErr is what is wrong with content-length. It waits for the end of
	// the headers: the receipt header of an oversize SEND may come after.
	lengthErr error
}

type phase uint8

const (
	inCommand phase = iota
	inHeaders
	inBody
)

func newScanner(v Version, l Limits) scanner {
	return scanner{version: v, limits: l, length: -1}
}

// scan looks at b, which starts at the command and holds at least the bytes
// of the last call. It returns the size of the frame, NUL included, or
// ErrIncomplete, or why the frame is refused.
func (s *scanner) scan(b []byte) (int, error) {
	if s.phase == inCommand {
		if err := s.scanCommand(b); err != nil {
			return 0, err
		}
	}
	for s.phase == inHeaders {
		if err := s.scanHeader(b); err != nil {
			return 0, err
		}
	}
	if s.lengthErr != nil {
		return 0, s.lengthErr
	}
	if s.length >= 0 {
		return s.scanCountedBody(b)
	}
	return s.scanOpenBody(b)
}

func (s *scanner) scanCommand(b []byte) error {
	n := 0
	for n < len(b) && n <= maxCommandLength && 'A' <= b[n] && b[n] <= 'Z' {
		n++
	}
	if n > maxCommandLength {
		return ErrUnknownCommand
	}
	if n == len(b) {
		return ErrIncomplete
	}
	eol, err := eolLength(b[n:])
	if err != nil {
		return err
	}
	if eol == 0 {
		if b[n] == 0 {
			return ErrNULInHeader
		}
		return ErrUnknownCommand
	}
	s.command = knownCommand(b[:n])
	if s.command == "" {
		return ErrUnknownCommand
	}
	opens := opensConnection(s.command)
	s.literal = opens || s.version < V11
	// CRLF came with 1.2. CONNECT is read before the version is known, so
	// there it is taken too; in 1.0 and 1.1 a CR is part of a value.
	s.crlf = opens || s.version == Unknown || s.version == V12
	s.phase, s.headers, s.pos = inHeaders, n+eol, n+eol
	return nil
}

func (s *scanner) scanHeader(b []byte) error {
	rest := b[s.pos:]
	if s.count == s.limits.MaxHeaders {
		return s.scanBlankLine(rest)
	}
	// The longest line in order is the limit, a colon, CR and LF.
	window := s.limits.MaxHeaderLength + 3
	line := rest[:min(len(rest), window)]
	lf := bytes.IndexByte(line[s.seen:], '\n')
	if lf >= 0 {
		line = line[:s.seen+lf]
	}
	// Checked before the line is whole: a peer that forgets the blank line
	// is told so, where otherwise it would wait for an answer for ever.
	if bytes.IndexByte(line[s.seen:], 0) >= 0 {
		return ErrNULInHeader
	}
	if lf < 0 {
		if len(line) == window {
			return s.headerTooLong()
		}
		s.seen = len(line)
		return ErrIncomplete
	}
	s.pos, s.seen = s.pos+len(line)+1, 0
	// A lone CR cannot be a header in any version, so CRLF ends the headers
	// even where it is not an EOL.
	if len(line) == 0 || len(line) == 1 && line[0] == '\r' {
		s.phase = inBody
		return nil
	}
	return s.checkHeader(line)
}

// scanBlankLine allows nothing but the end of the headers.
func (s *scanner) scanBlankLine(rest []byte) error {
	if len(rest) == 0 {
		return ErrIncomplete
	}
	eol, err := eolLength(rest)
	switch {
	case errors.Is(err, ErrIncomplete):
		return err
	case err != nil || eol == 0:
		return fmt.Errorf("%w: limit %d", ErrTooManyHeaders, s.limits.MaxHeaders)
	}
	s.pos, s.phase = s.pos+eol, inBody
	return nil
}

func (s *scanner) headerTooLong() error {
	return fmt.Errorf("%w: line %d, limit %d bytes", ErrHeaderTooLong, s.count+1, s.limits.MaxHeaderLength)
}

// checkHeader checks a whole line without its LF.
func (s *scanner) checkHeader(line []byte) error {
	line = s.trimCR(line)
	size := len(line)
	colon := bytes.IndexByte(line, ':')
	if colon >= 0 {
		size--
	}
	switch {
	case size > s.limits.MaxHeaderLength:
		return s.headerTooLong()
	case s.crlf && bytes.IndexByte(line, '\r') >= 0:
		return fmt.Errorf("%w: header line %d", ErrBadCR, s.count+1)
	case colon < 0:
		return fmt.Errorf("%w: line %d", ErrBadHeader, s.count+1)
	case colon == 0:
		return fmt.Errorf("%w: line %d", ErrEmptyHeaderName, s.count+1)
	case !s.literal && !escapesValid(line, s.version):
		return fmt.Errorf("%w: header line %d", ErrBadEscape, s.count+1)
	}
	s.count++
	// The first content-length counts (STOMP 1.2 "Repeated Header Entries").
	if s.length < 0 && s.lengthErr == nil && string(line[:colon]) == headerContentLength {
		s.length, s.lengthErr = s.parseLength(line[colon+1:])
	}
	return nil
}

func (s *scanner) trimCR(line []byte) []byte {
	if n := len(line) - 1; s.crlf && n >= 0 && line[n] == '\r' {
		return line[:n]
	}
	return line
}

// eolLength returns the length of the EOL that b, which is not empty, starts
// with: 0 when there is none, ErrBadCR for a CR without LF.
func eolLength(b []byte) (int, error) {
	switch {
	case b[0] == '\n':
		return 1, nil
	case b[0] != '\r':
		return 0, nil
	case len(b) == 1:
		return 0, ErrIncomplete
	case b[1] == '\n':
		return 2, nil
	default:
		return 0, ErrBadCR
	}
}

// skipEOLs returns how many bytes of EOLs b starts with. Heart-beats and the
// padding after a frame look the same (STOMP 1.2 "STOMP Frames"); CRLF is
// taken in every version.
func skipEOLs(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		eol, err := eolLength(b[n:])
		if err != nil || eol == 0 {
			return n, err
		}
		n += eol
	}
	return n, nil
}
