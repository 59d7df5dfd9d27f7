// Package layout describes binary message bodies by tables. One table gives the
// decoding to JSON, the encoding from JSON, and the JSON Schema, so that the
// three cannot differ. It knows no protocol.
//
// Numbers are big-endian. Bytes that mean nothing to us are base64 in JSON.
// Decoding appends JSON text and makes no values in between; encoding is for
// commands of applications, and says clearly what is wrong with them.
package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Type is how a value lies on the wire and in JSON. The types are in this
// package; [Func] makes another.
type Type interface {
	decode(r *Reader, dst []byte) ([]byte, error)
	encode(w *Writer, v any) error
	schema() Schema
}

// Schema is a JSON Schema, draft 2020-12.
type Schema map[string]any

// Options are what a table does not say.
type Options struct {
	Edition uint8 // for conditions; the protocol's own numbers
	// Text and Untext turn the protocol's text into UTF-8 and back; nil = it is
	// UTF-8. Text never fails: what is no text is replaced.
	Text   func(raw []byte) string
	Untext func(text string) ([]byte, error)
}

// Error says what is wrong and where: Path is like params[2].value.
type Error struct {
	Path string
	Err  error
}

func (e *Error) Error() string { return e.Path + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Why a body is refused.
var (
	ErrShort = errors.New("the body ends before it does")
	ErrLeft  = errors.New("bytes are left over")
	ErrType  = errors.New("has the wrong type")
	ErrRange = errors.New("is out of range")
)

// at says where an error lies, from the inside to the outside.
func at(where string, err error) error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // as it was made here
		if !strings.HasPrefix(e.Path, "[") {
			where += "."
		}
		e.Path = where + e.Path
		return e
	}
	return &Error{Path: where, Err: err}
}

// Decode appends the JSON of a body. All of it must be used. On an error dst is
// as it was.
func Decode(dst []byte, t Type, body []byte, o Options) ([]byte, error) {
	r := &Reader{b: body, o: o}
	out, err := t.decode(r, dst)
	if err == nil && len(r.b) > 0 {
		err = fmt.Errorf("%w: %d", ErrLeft, len(r.b))
	}
	if err != nil {
		return dst, err
	}
	return out, nil
}

// Encode appends the bytes of a body that is given as JSON.
func Encode(dst []byte, t Type, body []byte, o Options) ([]byte, error) {
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return dst, fmt.Errorf("not JSON: %w", err)
	}
	return EncodeValue(dst, t, v, o)
}

// EncodeValue is [Encode] for JSON that was decoded with UseNumber.
func EncodeValue(dst []byte, t Type, v any, o Options) ([]byte, error) {
	w := &Writer{B: dst, o: o}
	if err := t.encode(w, v); err != nil {
		return dst, err
	}
	return w.B, nil
}

// SchemaOf is the schema of what Decode gives and Encode takes.
func SchemaOf(t Type) Schema { return t.schema() }

// Reader is what is left of a body.
type Reader struct {
	b    []byte
	o    Options
	nums []number // of the objects that are being read
	base int      // where those of the innermost begin
	last uint64   // the number that was read last
}

// number is a field that conditions, counts and lengths may ask for.
type number struct {
	name  string
	value uint64
}

// Take reads n bytes.
func (r *Reader) Take(n int) ([]byte, error) {
	if n < 0 || n > len(r.b) {
		return nil, fmt.Errorf("%w: %d of %d bytes", ErrShort, len(r.b), n)
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b, nil
}

// Left is the number of bytes that are left.
func (r *Reader) Left() int { return len(r.b) }

// Peek looks at what is left.
func (r *Reader) Peek() []byte { return r.b }

// Decode reads another value.
func (r *Reader) Decode(dst []byte, t Type) ([]byte, error) { return t.decode(r, dst) }

// Edition is that of the options.
func (r *Reader) Edition() uint8 { return r.o.Edition }

// Within decodes t from b alone; all of b must be used.
func (r *Reader) Within(dst []byte, t Type, b []byte) ([]byte, error) {
	inner := Reader{b: b, o: r.o}
	dst, err := t.decode(&inner, dst)
	if err == nil && len(inner.b) > 0 {
		err = fmt.Errorf("%w: %d", ErrLeft, len(inner.b))
	}
	return dst, err
}

func (r *Reader) get(name string) uint64 { return find(r.nums[r.base:], name) }

func find(nums []number, name string) uint64 {
	for i := len(nums) - 1; i >= 0; i-- {
		if nums[i].name == name {
			return nums[i].value
		}
	}
	return 0
}

// Writer is a body that is being written.
type Writer struct {
	B    []byte
	o    Options
	nums []number
}

// Edition is that of the options.
func (w *Writer) Edition() uint8 { return w.o.Edition }

// Encode writes another value.
func (w *Writer) Encode(t Type, v any) error { return t.encode(w, v) }

// Func is a type that tables cannot describe.
type Func struct {
	Decode func(r *Reader, dst []byte) ([]byte, error)
	Encode func(w *Writer, v any) error
	Schema Schema
}

func (f Func) decode(r *Reader, dst []byte) ([]byte, error) { return f.Decode(r, dst) }
func (f Func) encode(w *Writer, v any) error                { return f.Encode(w, v) }
func (f Func) schema() Schema                               { return f.Schema }
