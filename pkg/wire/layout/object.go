package layout

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Field is one member of an object.
type Field struct {
	Name string
	Type Type
	If   *Cond  // without it the field is always there
	Tail bool   // the body may end before it, and all that follow
	Size string // a number: of the bytes, or of the items, of the field of this name
	// Default is what a command has that does not say it.
	Default any
	Doc     string
	key     string // as it is written in JSON
}

// Cond tells whether a field is there.
type Cond struct {
	Doc  string
	when func(get func(name string) uint64, edition uint8) bool
}

// Bit is a bit of an earlier number.
func Bit(name string, bit uint) *Cond {
	return &Cond{fmt.Sprintf("if bit %d of %s is set", bit, name), func(get func(string) uint64, _ uint8) bool { return get(name)&(1<<bit) != 0 }}
}

// Is compares an earlier number.
func Is(name string, value uint64) *Cond {
	return &Cond{fmt.Sprintf("if %s is %d", name, value), func(get func(string) uint64, _ uint8) bool { return get(name) == value }}
}

// Not compares an earlier number.
func Not(name string, value uint64) *Cond {
	return &Cond{fmt.Sprintf("if %s is not %d", name, value), func(get func(string) uint64, _ uint8) bool { return get(name) != value }}
}

// Since is an edition, or a later one.
func Since(edition uint8, doc string) *Cond {
	return &Cond{"since " + doc, func(_ func(string) uint64, e uint8) bool { return e >= edition }}
}

// Only is an edition, or an earlier one.
func Only(edition uint8, doc string) *Cond {
	return &Cond{"until " + doc, func(_ func(string) uint64, e uint8) bool { return e <= edition }}
}

// And is both.
func And(a, b *Cond) *Cond {
	return &Cond{a.Doc + " and " + b.Doc, func(get func(string) uint64, e uint8) bool { return a.when(get, e) && b.when(get, e) }}
}

var errMissing = errors.New("is missing")

// Object is fields one after the other.
type Object struct{ fields []Field }

// Fields makes an object.
func Fields(fields ...Field) *Object {
	o := &Object{fields: fields}
	for i := range fields {
		fields[i].key = `"` + fields[i].Name + `":`
	}
	return o
}

// With is the object with more fields.
func (o *Object) With(fields ...Field) *Object {
	return Fields(append(slices.Clone(o.fields), fields...)...)
}

func (o *Object) decode(r *Reader, dst []byte) ([]byte, error) {
	outer := r.base
	r.base = len(r.nums)
	defer func() { r.nums, r.base = r.nums[:r.base], outer }()
	dst = append(dst, '{')
	for i := range o.fields {
		f := &o.fields[i]
		if f.Tail && len(r.b) == 0 {
			break
		}
		if f.If != nil && !f.If.when(r.get, r.o.Edition) {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, f.key...)
		var err error
		if dst, err = f.Type.decode(r, dst); err != nil {
			return dst, at(f.Name, err)
		}
		if _, ok := f.Type.(num); ok {
			r.nums = append(r.nums, number{f.Name, r.last})
		}
	}
	return append(dst, '}'), nil
}

func (o *Object) encode(w *Writer, v any) error {
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%w: an object is needed, not %s", ErrType, kindOf(v))
	}
	if err := o.known(m); err != nil {
		return err
	}
	base := len(w.nums)
	defer func() { w.nums = w.nums[:base] }()
	get := func(name string) uint64 { return find(w.nums[base:], name) }
	for i := range o.fields {
		f := &o.fields[i]
		if f.If != nil && !f.If.when(get, w.o.Edition) {
			if _, given := m[f.Name]; given && !o.again(f) {
				return at(f.Name, fmt.Errorf("is there only %s", f.If.Doc))
			}
			continue
		}
		value, given := m[f.Name]
		if !given && f.Tail && f.Default == nil && !o.anyAfter(i, m) {
			return nil
		}
		if f.Size != "" {
			n, err := o.size(w, f, m)
			if err != nil {
				return err
			}
			if given && !equal(value, n) {
				return at(f.Name, fmt.Errorf("is %v, but %s has %d", value, f.Size, n))
			}
			value, given = n, true
		}
		if !given && f.Default != nil {
			value, given = f.Default, true
		}
		if !given {
			return at(f.Name, errMissing)
		}
		if err := f.Type.encode(w, value); err != nil {
			return at(f.Name, err)
		}
		if _, ok := f.Type.(num); ok {
			n, _ := integer(value)
			w.nums = append(w.nums, number{f.Name, uint64(n)})
		}
	}
	return nil
}

// again tells whether another field has the same name: one of several forms.
func (o *Object) again(f *Field) bool {
	n := 0
	for i := range o.fields {
		if o.fields[i].Name == f.Name {
			n++
		}
	}
	return n > 1
}

func (o *Object) known(m map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if !slices.ContainsFunc(o.fields, func(f Field) bool { return f.Name == name }) {
			return at(name, fmt.Errorf("is not a field of this message"))
		}
	}
	return nil
}

func (o *Object) anyAfter(i int, m map[string]any) bool {
	for _, f := range o.fields[i+1:] {
		if _, given := m[f.Name]; given {
			return true
		}
	}
	return false
}

// size is what a number counts: items of a list, or bytes of something that is
// written for the purpose. What is not there has none.
func (o *Object) size(w *Writer, f *Field, m map[string]any) (int, error) {
	for i := range o.fields {
		of := &o.fields[i]
		if of.Name != f.Size || of.If != nil && !of.If.when(func(name string) uint64 { return find(w.nums, name) }, w.o.Edition) {
			continue
		}
		v, given := m[of.Name]
		if !given {
			return 0, nil
		}
		if list, ok := v.([]any); ok {
			return len(list), nil
		}
		trial := &Writer{o: w.o}
		if err := of.Type.encode(trial, v); err != nil {
			return 0, at(of.Name, err)
		}
		return len(trial.B), nil
	}
	return 0, nil
}

func (o *Object) schema() Schema {
	props, required := map[string]any{}, []string{}
	for _, f := range o.fields {
		s := maps.Clone(map[string]any(f.Type.schema()))
		doc := f.Doc
		if f.If != nil {
			doc += " (" + f.If.Doc + ")"
		}
		if f.Size != "" {
			doc += " (of " + f.Size + "; may be left out in commands)"
		}
		if doc != "" {
			s["description"] = trimmed(doc)
		}
		if _, twice := props[f.Name]; twice {
			continue
		}
		props[f.Name] = s
		if f.If == nil && !f.Tail && f.Size == "" && f.Default == nil {
			required = append(required, f.Name)
		}
	}
	out := Schema{"type": "object", "properties": props, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}
