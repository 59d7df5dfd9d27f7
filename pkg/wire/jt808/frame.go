package jt808

import "fmt"

// The flag that begins and ends a frame, and the byte that begins an escape.
const (
	flag   = 0x7E
	escape = 0x7D

	escapedEscape = 0x01
	escapedFlag   = 0x02
)

// Frame is one message, or one packet of a long one.
type Frame struct {
	Header
	Body []byte
}

// Parse reads the content of a frame: unescaped, without flags, with the check
// byte. Body lies in content. An error of what comes after the header is a
// *FrameError.
func Parse(content []byte) (Frame, error) {
	h, err := readHeader(content)
	if err == ErrPacket { //nolint:errorlint // as readHeader returns it
		return Frame{}, &FrameError{h, err}
	}
	if err != nil {
		return Frame{}, err
	}
	last := len(content) - 1
	if xor(content[:last]) != content[last] {
		return Frame{}, &FrameError{h, ErrCheck}
	}
	at := h.size()
	if at+h.Length != last {
		return Frame{}, &FrameError{h, fmt.Errorf("%w: %d, not %d", ErrLength, h.Length, last-at)}
	}
	return Frame{Header: h, Body: content[at:last:last]}, nil
}

// Append appends a frame as it is on the wire. The length in the header is that
// of the body, which has [MaxBody] bytes at most: see [Packets] for longer ones.
func Append(dst []byte, f Frame) ([]byte, error) {
	if len(f.Body) > MaxBody {
		return dst, fmt.Errorf("%w: body of %d bytes", ErrTooLong, len(f.Body))
	}
	var room [maxHeader]byte
	head := f.append(room[:0], len(f.Body))
	check := xor(head) ^ xor(f.Body)
	dst = append(dst, flag)
	dst = appendEscaped(dst, head)
	dst = appendEscaped(dst, f.Body)
	dst = appendEscaped(dst, []byte{check})
	return append(dst, flag), nil
}

// AppendContent appends a frame as [Parse] takes it.
func AppendContent(dst []byte, f Frame) ([]byte, error) {
	if len(f.Body) > MaxBody {
		return dst, fmt.Errorf("%w: body of %d bytes", ErrTooLong, len(f.Body))
	}
	from := len(dst)
	dst = append(f.append(dst, len(f.Body)), f.Body...)
	return append(dst, xor(dst[from:])), nil
}

func appendEscaped(dst, src []byte) []byte {
	for _, c := range src {
		switch c {
		case flag:
			dst = append(dst, escape, escapedFlag)
		case escape:
			dst = append(dst, escape, escapedEscape)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func xor(b []byte) (x byte) {
	for _, c := range b {
		x ^= c
	}
	return x
}
