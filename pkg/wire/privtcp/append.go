package privtcp

import (
	"bytes"
	"errors"
	"fmt"
)

// Append appends the frame that carries payload to dst and returns the extended
// slice; payload must not lie in dst. On error dst comes back as it was. What it
// writes, a Splitter reads as payload again, but for the bytes that Append fills in
// (a length that Strip leaves, a checksum that is kept) and for a delimiter that is
// kept and was missing. The error is ErrNotEncodable or ErrTooLong.
func (f Framing) Append(dst, payload []byte) ([]byte, error) {
	var out []byte
	var err error
	switch f.Kind {
	case Fixed, Length:
		out, err = f.appendCounted(dst, payload)
	case Delimiter:
		out, err = f.appendDelimited(dst, payload)
	case Marks:
		out, err = f.appendMarked(dst, payload)
	default:
		out = append(dst, payload...)
		if len(payload) == 0 {
			err = unfit("empty")
		}
	}
	if err == nil && len(out)-len(dst) > f.max() {
		err = ErrTooLong
	}
	if err != nil {
		return dst, err
	}
	return out, nil
}

func unfit(why string) error { return fmt.Errorf("%w: %s", ErrNotEncodable, why) }

func (f *Framing) appendCounted(dst, payload []byte) ([]byte, error) {
	out := append(dst, f.Field.Header[:min(len(f.Field.Header), f.strip())]...)
	out = appendZeros(out, len(dst)+f.strip()-len(out))
	copy(out[len(dst):], f.Start)
	out = appendZeros(append(out, payload...), f.trailer())
	frame := out[len(dst):]
	if f.Kind == Length {
		end := f.Field.Offset + f.Field.Width
		if len(frame) < end {
			return nil, unfit("no room for the length field")
		}
		if !f.Field.put(frame, len(frame)-end-f.Field.Adjust) {
			return nil, unfit("length does not fit its field")
		}
	}
	if !f.Checksum.put(frame) {
		return nil, unfit("no room for the checksum")
	}
	if !bytes.HasPrefix(frame, f.Start) {
		return nil, unfit("does not begin with start")
	}
	n, err := f.frameLength(frame)
	switch {
	case errors.Is(err, ErrTooLong):
		return nil, ErrTooLong
	case err != nil || n != len(frame):
		return nil, unfit("wrong length")
	}
	return out, nil
}

func (f *Framing) appendDelimited(dst, payload []byte) ([]byte, error) {
	if f.KeepDelimiter {
		payload = bytes.TrimSuffix(payload, f.Delimiter)
	}
	out := appendZeros(append(dst, payload...), f.trailer())
	if !f.Checksum.put(out[len(dst):]) {
		return nil, unfit("no room for the checksum")
	}
	end := len(out)
	out = append(out, f.Delimiter...)
	// Not only inside: together with the payload's end it may begin too early.
	if bytes.Index(out[len(dst):], f.Delimiter) != end-len(dst) {
		return nil, unfit("holds the delimiter")
	}
	return out, nil
}

func (f *Framing) appendMarked(dst, payload []byte) ([]byte, error) {
	out := append(append(dst, f.Start...), payload...)
	start := len(dst) + len(f.Start)
	if f.after() > 0 {
		out = append(out, f.End...)
	}
	out = appendZeros(out, f.trailer())
	if !f.Checksum.put(out[start:]) {
		return nil, unfit("no room for the checksum")
	}
	body, sum := out[start:], []byte(nil)
	if f.after() > 0 {
		body, sum = out[start:start+len(payload)], out[len(out)-f.after():]
	}
	if len(body) == 0 && f.shared() {
		return nil, unfit("empty")
	}
	// The frame with its escapes goes behind the bare one, to be compared with it,
	// and then takes its place.
	bare := len(out)
	out = f.appendEscaped(out, body)
	out = append(out, f.End...)
	m := marksOf(f)
	if !m.reads(out[bare:], body) {
		return nil, unfit("holds a mark that no escape keeps out")
	}
	out = append(out, sum...)
	return append(out[:start], out[bare:]...), nil
}

func (f *Framing) appendEscaped(dst, body []byte) []byte {
next:
	for i := 0; i < len(body); {
		for _, e := range f.Escapes {
			if bytes.HasPrefix(body[i:], e.From) {
				dst = append(dst, e.To...)
				i += len(e.From)
				continue next
			}
		}
		dst = append(dst, body[i])
		i++
	}
	return dst
}

func appendZeros(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, 0)
	}
	return dst
}
