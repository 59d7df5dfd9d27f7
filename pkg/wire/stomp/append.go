package stomp

import (
	"fmt"
	"strconv"
	"strings"
)

// Append appends the frame to dst, written for a receiver of version v, and
// returns the extended slice. On error dst comes back as it was. It does not
// allocate when dst has room.
//
// A content-length header is written exactly when there is a body; one that
// stands in f.Headers is left out, so that it can be neither wrong nor double.
//
// No header can break out of its line. What the receiver's version cannot
// express is bent, as a message should not be lost for an odd user header:
// a header with an empty or inexpressible name is left out, and an
// inexpressible octet of a value becomes a blank. For 1.0 and Unknown that
// hits LF, CR and NUL, and names with a colon; for 1.1 and 1.2 only NUL.
// In CONNECT, STOMP and CONNECTED, where headers are credentials rather than
// user data, Append gives ErrNotEncodable instead.
func (f Frame) Append(dst []byte, v Version) ([]byte, error) {
	if knownCommand([]byte(f.Command)) == "" {
		return dst, ErrUnknownCommand
	}
	if len(f.Body) > 0 && !mayHaveBody(f.Command) {
		return dst, ErrUnexpectedBody
	}
	out := append(dst, f.Command...)
	out = append(out, '\n')
	for i := range f.Headers {
		h := &f.Headers[i]
		switch {
		case opensConnection(f.Command):
			if !literallyValid(h) {
				return dst, fmt.Errorf("%w: %q", ErrNotEncodable, h.Name)
			}
			out = appendLiteral(out, h)
		case v < V11:
			out = appendLiteral(out, h)
		default:
			out = appendHeader(out, h, v)
		}
	}
	if len(f.Body) > 0 {
		out = append(out, headerContentLength+":"...)
		out = strconv.AppendInt(out, int64(len(f.Body)), 10)
		out = append(out, '\n')
	}
	out = append(out, '\n')
	out = append(out, f.Body...)
	return append(out, 0), nil
}

// literallyValid tells whether a header needs no bending to be written
// without escapes.
func literallyValid(h *Header) bool {
	return h.Name != "" && !strings.ContainsAny(h.Name, ":\n\r\x00") &&
		!strings.ContainsAny(h.Value, "\n\r\x00")
}

// appendLiteral writes a header without escapes.
func appendLiteral(dst []byte, h *Header) []byte {
	if h.Name == "" || strings.ContainsAny(h.Name, ":\n\r\x00") {
		return dst
	}
	// 1.0 receivers may trim names: " content-length" must not reach them
	// either, or it would cut the body short.
	if strings.TrimSpace(h.Name) == headerContentLength {
		return dst
	}
	dst = append(dst, h.Name...)
	dst = append(dst, ':')
	dst = appendBlanked(dst, h.Value)
	return append(dst, '\n')
}

// appendHeader writes a header with the escapes of version v, 1.1 or 1.2.
func appendHeader(dst []byte, h *Header, v Version) []byte {
	if h.Name == "" || h.Name == headerContentLength || strings.IndexByte(h.Name, 0) >= 0 {
		return dst
	}
	dst = appendEscaped(dst, h.Name, v)
	dst = append(dst, ':')
	dst = appendEscaped(dst, h.Value, v)
	return append(dst, '\n')
}
