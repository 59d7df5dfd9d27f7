package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// scalar reads one word or number into a field of a basic type.
func (d *decoder) scalar(n *Node, v reflect.Value) {
	if v.Type() == durationType {
		t, err := n.duration()
		if err != nil {
			d.errs = append(d.errs, err)
			return
		}
		v.SetInt(int64(t))
		return
	}
	ok := false
	switch v.Kind() {
	case reflect.String:
		var s string
		if s, ok = n.value.(string); ok {
			v.SetString(s)
		}
	case reflect.Bool:
		var b bool
		if b, ok = n.value.(bool); ok {
			v.SetBool(b)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var i int64
		if i, ok = n.value.(int64); ok {
			d.integer(n, v, i)
		}
	case reflect.Float32, reflect.Float64:
		ok = d.float(n, v)
	default:
		d.errorf(n, "config: a %s cannot be read from a file", v.Type())
		return
	}
	if !ok {
		d.errorf(n, "must be %s, not %s", wanted(v.Kind()), n.kind())
	}
}

func (d *decoder) integer(n *Node, v reflect.Value, i int64) {
	if v.CanInt() {
		if v.OverflowInt(i) {
			d.errorf(n, "%d is out of range", i)
			return
		}
		v.SetInt(i)
		return
	}
	if i < 0 || v.OverflowUint(uint64(i)) {
		d.errorf(n, "%d is out of range", i)
		return
	}
	v.SetUint(uint64(i))
}

func (d *decoder) float(n *Node, v reflect.Value) bool {
	switch x := n.value.(type) {
	case int64:
		v.SetFloat(float64(x))
	case float64:
		v.SetFloat(x)
	default:
		return false
	}
	return true
}

func wanted(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "a string in quotes"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}

// duration reads "1m30s" and "2d". A number has no unit, and the syntax reads an
// unquoted 5m as five million, so both are refused.
func (n *Node) duration() (time.Duration, error) {
	s, ok := n.value.(string)
	if !ok {
		if i, isInt := n.value.(int64); isInt && i == 0 {
			return 0, nil
		}
		return 0, n.Errorf(`must be a time with its unit in quotes, like "30s" or "5m", not %s`, n.kind())
	}
	t, err := ParseDuration(s)
	if err != nil {
		return 0, n.Errorf(`%q is not a time such as "500ms", "30s", "5m", "2h" or "7d"`, s)
	}
	return t, nil
}

// ParseDuration is [time.ParseDuration] with days: "7d", "1d12h".
func ParseDuration(s string) (time.Duration, error) {
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		return time.ParseDuration(s)
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil || n > math.MaxInt64/uint64(24*time.Hour) {
		return 0, fmt.Errorf("not a duration: %q", s)
	}
	t := time.Duration(n) * 24 * time.Hour
	if rest == "" {
		return t, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 || t+more < t {
		return 0, fmt.Errorf("not a duration: %q", s)
	}
	return t + more, nil
}
