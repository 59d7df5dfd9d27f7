package config

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Render writes the struct v as a configuration file that [Decode] reads back,
// with the doc tags as comments. Pointers that are nil and nodes are left out.
func Render(v any) string {
	r := &renderer{}
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	// A copy that can be addressed, as reading tags needs.
	c := reflect.New(rv.Type()).Elem()
	c.Set(rv)
	r.structure(c)
	return r.String()
}

type renderer struct {
	strings.Builder
	depth int
}

func (r *renderer) line(format string, args ...any) {
	r.WriteString(strings.Repeat("  ", r.depth))
	fmt.Fprintf(r, format+"\n", args...)
}

func (r *renderer) structure(v reflect.Value) {
	for _, f := range fieldsOf(v) {
		if f.value.Type() == nodeType || f.value.Kind() == reflect.Pointer && f.value.IsNil() {
			continue
		}
		if f.value.Kind() == reflect.Map && f.value.Len() == 0 {
			continue
		}
		if f.doc != "" {
			r.line("# %s", f.doc)
		}
		r.key(f.key, f.value)
	}
}

func (r *renderer) block(name string, body func()) {
	r.line("%s {", name)
	r.depth++
	body()
	r.depth--
	r.line("}")
}

func (r *renderer) key(name string, v reflect.Value) {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	_, isText := v.Interface().(encoding.TextMarshaler)
	switch {
	case v.Kind() == reflect.Struct && !isText:
		r.block(name, func() { r.structure(v) })
	case v.Kind() == reflect.Map:
		r.block(name, func() { r.mapping(v) })
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		r.line("%s: [", name)
		r.depth++
		for i := range v.Len() {
			r.line("{")
			r.depth++
			r.structure(v.Index(i))
			r.depth--
			r.line("}")
		}
		r.depth--
		r.line("]")
	default:
		r.line("%s: %s", name, scalarText(v))
	}
}

func (r *renderer) mapping(v reflect.Value) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		// Elements of maps cannot be addressed; a copy can.
		e := reflect.New(v.Type().Elem()).Elem()
		e.Set(v.MapIndex(k))
		r.key(keyText(k.String()), e)
	}
}

func scalarText(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case Size:
		return x.String()
	case time.Duration:
		return strconv.Quote(durationText(x))
	case encoding.TextMarshaler:
		b, _ := x.MarshalText() // only words of our own types
		return quote(string(b))
	}
	switch v.Kind() {
	case reflect.String:
		return quote(v.String())
	case reflect.Slice:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, scalarText(v.Index(i)))
		}
		return "[" + strings.Join(parts, ", ") + " ]" // a bracket right after a number is part of it
	case reflect.Float32, reflect.Float64:
		text := strconv.FormatFloat(v.Float(), 'f', -1, v.Type().Bits()) // an exponent is not understood
		if !strings.Contains(text, ".") {
			text += ".0"
		}
		return text
	default:
		return fmt.Sprint(v.Interface())
	}
}

// durationText is the shortest way to write a duration: "1m", not "1m0s".
func durationText(d time.Duration) string {
	if d >= 24*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprint(int64(d/(24*time.Hour)), "d")
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// quote writes a string so that the parser reads back the same bytes. Its escapes
// are fewer than Go's. Between single quotes nothing is escaped, which suits
// Windows paths and regular expressions.
func quote(s string) string {
	control := func(c rune) bool { return c < ' ' || c == 0x7f }
	if strings.ContainsAny(s, `\"`) && !strings.Contains(s, "'") && !strings.ContainsFunc(s, control) {
		return "'" + s + "'"
	}
	b := []byte{'"'}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case control(rune(c)):
			b = fmt.Appendf(b, `\x%02x`, c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// keyText puts quotes around a key of a map where it needs them. Keys have no
// escapes, and those of structs need none.
func keyText(s string) string {
	switch {
	case plainKey.MatchString(s) && !strings.EqualFold(s, "include"):
		return s
	case strings.Contains(s, `"`):
		return "'" + s + "'"
	}
	return `"` + s + `"`
}
