package layout

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"unicode/utf8"
)

// extent says how long something is.
type extent struct {
	n     int    // bytes, when of is "" and it is above 0
	of    string // the number that says it
	rest  bool   // until the end of the body
	bytes int    // of a length that lies before it and is not a field
}

func (x extent) take(r *Reader) ([]byte, error) {
	switch {
	case x.rest:
		return r.Take(r.Left())
	case x.of != "":
		return r.Take(int(r.get(x.of)))
	case x.bytes > 0:
		head, err := r.Take(x.bytes)
		if err != nil {
			return nil, err
		}
		n := 0
		for _, c := range head {
			n = n<<8 | int(c)
		}
		return r.Take(n)
	}
	return r.Take(x.n)
}

// put writes the bytes, padded to a fixed length.
func (x extent) put(w *Writer, b []byte) error {
	if x.bytes > 0 {
		if len(b) >= 1<<(8*x.bytes) {
			return fmt.Errorf("%w: %d bytes are more than %d", ErrRange, len(b), 1<<(8*x.bytes)-1)
		}
		for shift := 8 * (x.bytes - 1); shift >= 0; shift -= 8 {
			w.B = append(w.B, byte(len(b)>>shift))
		}
	}
	if !x.fixed() {
		w.B = append(w.B, b...)
		return nil
	}
	if len(b) > x.n {
		return fmt.Errorf("%w: %d bytes are more than %d", ErrRange, len(b), x.n)
	}
	w.B = append(w.B, b...)
	for range x.n - len(b) {
		w.B = append(w.B, 0)
	}
	return nil
}

func (x extent) fixed() bool { return !x.rest && x.of == "" && x.bytes == 0 }

// text is a string in the protocol's own encoding.
type text struct{ extent }

// Text is n bytes, of which NULs and blanks at both ends are padding.
func Text(n int) Type { return text{extent{n: n}} }

// TextOf has as many bytes as an earlier number says.
func TextOf(number string) Type { return text{extent{of: number}} }

// TextRest goes on until the body ends; NULs at its end are not of it.
func TextRest() Type { return text{extent{rest: true}} }

// TextIn follows its own length of n bytes, which is no field.
func TextIn(n int) Type { return text{extent{bytes: n}} }

func (t text) decode(r *Reader, dst []byte) ([]byte, error) {
	b, err := t.take(r)
	if err != nil {
		return dst, err
	}
	if t.fixed() {
		b = bytes.Trim(b, "\x00 ")
	} else {
		b = bytes.TrimRight(b, "\x00")
	}
	return r.AppendText(dst, b), nil
}

// AppendText appends the protocol's text as a JSON string.
func (r *Reader) AppendText(dst, raw []byte) []byte {
	for _, c := range raw {
		if c >= utf8.RuneSelf && r.o.Text != nil {
			return AppendString(dst, r.o.Text(raw))
		}
	}
	return AppendString(dst, string(raw))
}

// AppendString appends a JSON string; what is not UTF-8 is replaced.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', byte(c))
		case c < ' ' || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			dst = utf8.AppendRune(dst, c)
		}
	}
	return append(dst, '"')
}

func (t text) encode(w *Writer, v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("%w: a string is needed, not %s", ErrType, kindOf(v))
	}
	raw := []byte(s)
	if w.o.Untext != nil {
		var err error
		if raw, err = w.o.Untext(s); err != nil {
			return fmt.Errorf("%w: %q cannot be written: %w", ErrRange, s, err)
		}
	}
	return t.put(w, raw)
}

func (t text) schema() Schema { return Schema{"type": "string"} }

// raw is bytes without a meaning.
type raw struct {
	extent
	hex bool
}

// Bytes is n bytes.
func Bytes(n int) Type { return raw{extent{n: n}, false} }

// BytesOf has as many bytes as an earlier number says.
func BytesOf(number string) Type { return raw{extent{of: number}, false} }

// Rest is all that is left.
func Rest() Type { return raw{extent{rest: true}, false} }

// Hex is all that is left, as hex digits.
func Hex() Type { return raw{extent{rest: true}, true} }

func (t raw) decode(r *Reader, dst []byte) ([]byte, error) {
	b, err := t.take(r)
	if err != nil {
		return dst, err
	}
	dst = append(dst, '"')
	if t.hex {
		dst = hex.AppendEncode(dst, b)
	} else {
		dst = base64.StdEncoding.AppendEncode(dst, b)
	}
	return append(dst, '"'), nil
}

func (t raw) encode(w *Writer, v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("%w: a string is needed, not %s", ErrType, kindOf(v))
	}
	decode, name := base64.StdEncoding.DecodeString, "base64"
	if t.hex {
		decode, name = hex.DecodeString, "hex"
	}
	b, err := decode(s)
	if err != nil {
		return fmt.Errorf("%w: not %s: %w", ErrType, name, err)
	}
	return t.put(w, b)
}

func (t raw) schema() Schema {
	if t.hex {
		return Schema{"type": "string", "pattern": "^([0-9a-f]{2})*$"}
	}
	return Schema{"type": "string", "contentEncoding": "base64"}
}
