package stomp

import (
	"bytes"
	"strings"
)

// escapesValid checks the escapes of a whole header line. `\:` is among the
// undefined ones, so an escape cannot straddle the colon.
//
// STOMP 1.2 "Value Encoding"; 1.1 has no \r. An undefined escape is fatal in
// both.
func escapesValid(line []byte, v Version) bool {
	for {
		i := bytes.IndexByte(line, '\\')
		if i < 0 {
			return true
		}
		if i+1 == len(line) {
			return false
		}
		switch line[i+1] {
		case 'n', 'c', '\\':
		case 'r':
			if v != V12 {
				return false
			}
		default:
			return false
		}
		line = line[i+2:]
	}
}

// writeUnescaped appends b, which escapesValid has passed, to text.
func writeUnescaped(text *strings.Builder, b []byte) {
	for {
		i := bytes.IndexByte(b, '\\')
		if i < 0 {
			text.Write(b)
			return
		}
		text.Write(b[:i])
		switch b[i+1] {
		case 'n':
			text.WriteByte('\n')
		case 'c':
			text.WriteByte(':')
		case 'r':
			text.WriteByte('\r')
		default:
			text.WriteByte('\\')
		}
		b = b[i+2:]
	}
}

// appendEscaped appends s for a receiver of version v, 1.1 or 1.2. A CR is an
// ordinary octet of 1.1 and has no escape there. NUL has none in either, and
// peers that look for the end of a frame by its NUL would be fooled by one:
// it becomes a blank.
func appendEscaped(dst []byte, s string, v Version) []byte {
	for i := range len(s) {
		switch c := s[i]; c {
		case '\n':
			dst = append(dst, `\n`...)
		case ':':
			dst = append(dst, `\c`...)
		case '\\':
			dst = append(dst, `\\`...)
		case 0:
			dst = append(dst, ' ')
		case '\r':
			if v == V12 {
				dst = append(dst, `\r`...)
			} else {
				dst = append(dst, c)
			}
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendBlanked appends s for a receiver that knows no escapes, with a blank
// in place of each octet that would end the line or the frame.
func appendBlanked(dst []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; c {
		case '\n', '\r', 0:
			dst = append(dst, ' ')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
