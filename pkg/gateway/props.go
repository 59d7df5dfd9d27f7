package gateway

import (
	"net/url"
	"strings"
)

// encodeProps writes a device's own headers as one query string: in one NATS
// header their order and their repetitions survive.
func encodeProps(props []Prop) string {
	var b strings.Builder
	for i, p := range props {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.Name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.Value))
	}
	return b.String()
}

// decodeProps is the inverse; parts that are not of the form are left out.
func decodeProps(s string) []Prop {
	if s == "" {
		return nil
	}
	props := make([]Prop, 0, strings.Count(s, "&")+1)
	for part := range strings.SplitSeq(s, "&") {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			continue
		}
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 == nil && err2 == nil {
			props = append(props, Prop{n, v})
		}
	}
	return props
}
