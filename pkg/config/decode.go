package config

import (
	"encoding"
	"errors"
	"reflect"
	"strings"
	"time"
)

// Unmarshaler is for types that read their block themselves, such as maps whose
// elements have defaults. Its errors say where they are, as those of [Decode].
type Unmarshaler interface {
	UnmarshalConf(n *Node) error
}

// Validator is asked after a value is decoded without error. Its errors begin
// with the key they are about: "frame.max_headers: must be ...".
type Validator interface {
	Validate() error
}

var (
	nodeType     = reflect.TypeFor[*Node]()
	durationType = reflect.TypeFor[time.Duration]()
)

// Decode reads the block n into the struct that into points to, and validates
// it. The error has all that is wrong, joined.
func Decode(n *Node, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return n.Errorf("config: cannot decode into %T, which is no pointer to a struct", into)
	}
	d := decoder{}
	d.structure(n, v.Elem())
	if len(d.errs) > 0 {
		return errors.Join(d.errs...)
	}
	if val, ok := into.(Validator); ok {
		return n.Wrap(val.Validate())
	}
	return nil
}

type decoder struct{ errs []error }

func (d *decoder) errorf(n *Node, format string, args ...any) {
	d.errs = append(d.errs, n.Errorf(format, args...))
}

func (d *decoder) structure(n *Node, v reflect.Value) {
	if !n.block {
		d.errorf(n, "must be a block { ... }, not %s", n.kind())
		return
	}
	fields := fieldsOf(v)
	given := map[string]string{}
	for _, c := range n.children {
		f := find(fields, c.name)
		if f == nil && c.used {
			continue // it is there for others to refer to
		}
		if f == nil {
			d.errorf(c, "unknown key%s", suggestion(c.name, fields))
			continue
		}
		if other, twice := given[f.key]; twice {
			d.errorf(c, "is another name of %s, which is given too", other)
			continue
		}
		given[f.key] = c.name
		d.value(c, f.value)
	}
}

func (d *decoder) value(n *Node, v reflect.Value) {
	if v.Type() == nodeType {
		v.Set(reflect.ValueOf(n))
		return
	}
	if u, ok := v.Addr().Interface().(Unmarshaler); ok {
		if err := u.UnmarshalConf(n); err != nil {
			d.errs = append(d.errs, err)
		}
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(n, u)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		e := reflect.New(v.Type().Elem())
		d.value(n, e.Elem())
		v.Set(e)
	case reflect.Struct:
		d.structure(n, v)
	case reflect.Map:
		d.mapping(n, v)
	case reflect.Slice:
		d.list(n, v)
	default:
		d.scalar(n, v)
	}
}

func (d *decoder) text(n *Node, u encoding.TextUnmarshaler) {
	s, ok := n.value.(string)
	if !ok {
		d.errorf(n, "must be a string in quotes, not %s", n.kind())
		return
	}
	if err := u.UnmarshalText([]byte(s)); err != nil {
		d.errorf(n, "%w", err)
	}
}

// mapping adds to the map; an element that is there already is changed, not
// replaced, so that defaults hold.
func (d *decoder) mapping(n *Node, v reflect.Value) {
	if !n.block {
		d.errorf(n, "must be a block { ... }, not %s", n.kind())
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for _, c := range n.children {
		e := reflect.New(v.Type().Elem()).Elem()
		key := reflect.ValueOf(c.name).Convert(v.Type().Key())
		if old := v.MapIndex(key); old.IsValid() {
			e.Set(old)
		}
		d.value(c, e)
		v.SetMapIndex(key, e)
	}
}

func (d *decoder) list(n *Node, v reflect.Value) {
	if n.items == nil {
		d.errorf(n, "must be a list [ ... ], not %s", n.kind())
		return
	}
	s := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, e := range n.items {
		d.value(e, s.Index(i))
	}
	v.Set(s)
}

// field is a key that a struct takes.
type field struct {
	key     string
	aliases []string
	doc     string
	value   reflect.Value
}

// fieldsOf lists the keys of a struct, those of embedded structs inlined.
func fieldsOf(v reflect.Value) []field {
	var out []field
	for i := range v.NumField() {
		f := v.Type().Field(i)
		tag, tagged := f.Tag.Lookup("conf")
		switch {
		case tag == "-", !f.IsExported() && !f.Anonymous:
		case tagged:
			names := strings.Split(tag, ",")
			out = append(out, field{names[0], names[1:], f.Tag.Get("doc"), v.Field(i)})
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			out = append(out, fieldsOf(v.Field(i))...)
		}
	}
	return out
}

func find(fields []field, name string) *field {
	for i, f := range fields {
		if f.key == name {
			return &fields[i]
		}
		for _, a := range f.aliases {
			if a == name {
				return &fields[i]
			}
		}
	}
	return nil
}

// HasKey tells whether the struct that v points to takes the key.
func HasKey(v any, name string) bool {
	return find(fieldsOf(reflect.ValueOf(v).Elem()), name) != nil
}
