package layout

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// num is an integer, big-endian.
type num struct {
	size   int // bytes
	signed bool
}

// The integers.
var (
	U8  Type = num{1, false}
	U16 Type = num{2, false}
	U32 Type = num{4, false}
	I16 Type = num{2, true}
)

func (n num) decode(r *Reader, dst []byte) ([]byte, error) {
	b, err := r.Take(n.size)
	if err != nil {
		return dst, err
	}
	switch n.size {
	case 1:
		r.last = uint64(b[0])
	case 2:
		r.last = uint64(binary.BigEndian.Uint16(b))
	default:
		r.last = uint64(binary.BigEndian.Uint32(b))
	}
	if n.signed {
		return strconv.AppendInt(dst, int64(int16(r.last)), 10), nil
	}
	return strconv.AppendUint(dst, r.last, 10), nil
}

func (n num) limits() (low, high int64) {
	if n.signed {
		return math.MinInt16, math.MaxInt16
	}
	return 0, 1<<(8*n.size) - 1
}

func (n num) encode(w *Writer, v any) error {
	i, err := integer(v)
	if err != nil {
		return err
	}
	low, high := n.limits()
	switch {
	case i < low:
		return fmt.Errorf("%w: %d is below %d", ErrRange, i, low)
	case i > high:
		return fmt.Errorf("%w: %d is above %d", ErrRange, i, high)
	}
	for shift := 8 * (n.size - 1); shift >= 0; shift -= 8 {
		w.B = append(w.B, byte(i>>shift))
	}
	return nil
}

func (n num) schema() Schema {
	low, high := n.limits()
	return Schema{"type": "integer", "minimum": low, "maximum": high}
}

// integer reads a JSON number without a fraction.
func integer(v any) (int64, error) {
	switch v := v.(type) {
	case int:
		return int64(v), nil
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i, nil
		}
		return 0, fmt.Errorf("%w: %s is not a whole number that fits", ErrRange, v)
	}
	return 0, fmt.Errorf("%w: a number is needed, not %s", ErrType, kindOf(v))
}

func equal(v any, n int) bool {
	i, err := integer(v)
	return err == nil && i == int64(n)
}

// kindOf names a JSON value for messages.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number, int:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "an array"
	}
	return "an object"
}

func trimmed(s string) string { return strings.TrimSpace(s) }

// bcd is packed decimal digits, as text.
type bcd int

// BCD is n bytes of packed digits: text of 2n digits.
func BCD(n int) Type { return bcd(n) }

const hexDigits = "0123456789abcdef"

// decode shows digits above 9 as a to f: devices send them.
func (n bcd) decode(r *Reader, dst []byte) ([]byte, error) {
	b, err := r.Take(int(n))
	if err != nil {
		return dst, err
	}
	dst = append(dst, '"')
	for _, c := range b {
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return append(dst, '"'), nil
}

func (n bcd) encode(w *Writer, v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("%w: a string of %d digits is needed, not %s", ErrType, 2*n, kindOf(v))
	}
	if len(s) != int(2*n) {
		return fmt.Errorf("%w: %q has not %d digits", ErrRange, s, 2*n)
	}
	for i := 0; i < len(s); i += 2 {
		high, low := strings.IndexByte(hexDigits, s[i]), strings.IndexByte(hexDigits, s[i+1])
		if high < 0 || low < 0 {
			return fmt.Errorf("%w: %q has something else than digits", ErrRange, s)
		}
		w.B = append(w.B, byte(high<<4|low))
	}
	return nil
}

func (n bcd) schema() Schema {
	return Schema{"type": "string", "pattern": fmt.Sprintf("^[0-9a-f]{%d}$", 2*n)}
}
