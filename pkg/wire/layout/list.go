package layout

import (
	"fmt"
	"strconv"
)

// list is items one after the other.
type list struct {
	item  Type
	of    string // the number that says how many; "" = until the body ends
	each  int    // the length before each item, bytes; 0 = none
	least int    // bytes that an item has at least
}

// ListOf has as many items as an earlier number says.
func ListOf(number string, item Type) Type { return list{item: item, of: number, least: least(item)} }

// ListRest goes on until the body ends.
func ListRest(item Type) Type { return list{item: item, least: 1} }

// ListSized is ListOf with a length of so many bytes before each item.
func ListSized(number string, lengthBytes int, item Type) Type {
	return list{item: item, of: number, each: lengthBytes, least: lengthBytes}
}

func (l list) decode(r *Reader, dst []byte) ([]byte, error) {
	n := -1
	if l.of != "" {
		if n = int(r.get(l.of)); n*l.least > len(r.b) {
			return dst, fmt.Errorf("%w: %d items of at least %d bytes, %d bytes", ErrShort, n, l.least, len(r.b))
		}
	}
	dst = append(dst, '[')
	for i := 0; i != n && (n >= 0 || len(r.b) > 0); i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = l.one(r, dst); err != nil {
			return dst, at("["+strconv.Itoa(i)+"]", err)
		}
	}
	return append(dst, ']'), nil
}

func (l list) one(r *Reader, dst []byte) ([]byte, error) {
	if l.each == 0 {
		before := len(r.b)
		dst, err := l.item.decode(r, dst)
		if err == nil && len(r.b) == before {
			err = fmt.Errorf("%w: an item without bytes", ErrShort)
		}
		return dst, err
	}
	b, err := extent{bytes: l.each}.take(r)
	if err != nil {
		return dst, err
	}
	return r.Within(dst, l.item, b)
}

func (l list) encode(w *Writer, v any) error {
	items, ok := v.([]any)
	if !ok {
		return fmt.Errorf("%w: an array is needed, not %s", ErrType, kindOf(v))
	}
	for i, item := range items {
		if err := l.put(w, item); err != nil {
			return at("["+strconv.Itoa(i)+"]", err)
		}
	}
	return nil
}

func (l list) put(w *Writer, item any) error {
	if l.each == 0 {
		return l.item.encode(w, item)
	}
	inner := &Writer{o: w.o}
	if err := l.item.encode(inner, item); err != nil {
		return err
	}
	return extent{bytes: l.each}.put(w, inner.B)
}

func (l list) schema() Schema { return Schema{"type": "array", "items": l.item.schema()} }

// least is how many bytes a type takes at least, so that a count is known to be
// wrong before anything is read.
func least(t Type) int {
	switch t := t.(type) {
	case num:
		return t.size
	case bcd:
		return int(t)
	case text:
		return t.n + t.bytes
	case raw:
		return t.n
	case *Object:
		n := 0
		for _, f := range t.fields {
			if f.If == nil && !f.Tail {
				n += least(f.Type)
			}
		}
		return max(n, 1)
	}
	return 1
}
