package subject

import (
	"fmt"
	"strings"
)

// Mount is a mountpoint after its variables are filled in: the topic prefix of
// one client, e.g. "iot/". It is put before every topic as it stands, no slash
// is added, and is invisible to the device both ways.
type Mount struct{ topic string }

// NewMount checks a filled-in mountpoint. It may not have wildcards, and every
// character must be one that subjects can carry.
func NewMount(topic string) (Mount, error) {
	if topic == "" {
		return Mount{}, nil
	}
	if _, err := FromTopic(topic); err != nil {
		return Mount{}, fmt.Errorf("mountpoint: %w", err)
	}
	return Mount{topic}, nil
}

// Topic is the prefix as configured and filled in.
func (m Mount) Topic() string { return m.topic }

// Publish maps a device's topic to the subject it is published on.
func (m Mount) Publish(topic string) (string, error) {
	if topic == "" {
		return "", ErrEmpty
	}
	s, err := FromTopic(m.topic + topic)
	if err == nil && Reserved(s) {
		err = fmt.Errorf("%w: %q", ErrReserved, topic)
	}
	return s, err
}

// Subscribe maps a device's filter to the subjects to subscribe to.
func (m Mount) Subscribe(filter string) ([]string, error) {
	if filter == "" {
		return nil, ErrEmpty
	}
	all, err := FromFilter(m.topic + filter)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if Reserved(s) {
			return nil, fmt.Errorf("%w: %q", ErrReserved, filter)
		}
	}
	return all, nil
}

// Unmount maps a subject back to the topic that the device knows.
func (m Mount) Unmount(subj string) string {
	return strings.TrimPrefix(ToTopic(subj), m.topic)
}

// Root is the literal subject filter that covers all topics below a mountpoint
// template, "iot.>" for "iot/" or "iot/${username}/". ok is false when the
// template has no literal first level: such an instance needs data.roots.
func Root(template string) (filter string, ok bool) {
	var literal []string
	levels := strings.Split(template, "/")
	for _, level := range levels[:len(levels)-1] { // a last level without "/" is only a prefix of one
		if level == "" || strings.ContainsAny(level, "$%") {
			break
		}
		s, err := FromTopic(level)
		if err != nil {
			return "", false
		}
		literal = append(literal, s)
	}
	if len(literal) == 0 {
		return "", false
	}
	root := strings.Join(literal, ".") + ".>"
	return root, !Reserved(root)
}

// Pattern is the subject filter that covers all topics of a template: a level
// with a variable is any level.
func Pattern(template string) (string, error) {
	levels := strings.Split(template, "/")
	for i, level := range levels {
		if Expand(level, func(string) (string, bool) { return "", true }) != level {
			levels[i] = "+"
		} else if wildcard(level) {
			return "", fmt.Errorf("%w: %q", ErrWildcard, template)
		}
	}
	all, err := FromFilter(strings.Join(levels, "/"))
	if err != nil {
		return "", err
	}
	return all[0], nil
}

// Expand fills ${name} and the short forms %c (clientid), %u (username) and %e
// (endpoint_name) into a template. An unknown name stays as it is written.
func Expand(template string, lookup func(name string) (string, bool)) string {
	if !strings.ContainsAny(template, "$%") {
		return template
	}
	var b strings.Builder
	for i := 0; i < len(template); {
		name, n := variable(template[i:])
		if v, ok := "", false; n > 0 {
			if v, ok = lookup(name); ok {
				b.WriteString(v)
			} else {
				b.WriteString(template[i : i+n])
			}
			i += n
			continue
		}
		b.WriteByte(template[i])
		i++
	}
	return b.String()
}

// variable reads a variable at the start of s; n is its length, 0 for none.
func variable(s string) (name string, n int) {
	if strings.HasPrefix(s, "${") {
		if end := strings.IndexByte(s, '}'); end > 0 {
			return s[2:end], end + 1
		}
		return "", 0
	}
	if len(s) < 2 || s[0] != '%' {
		return "", 0
	}
	switch s[1] {
	case 'c':
		return "clientid", 2
	case 'u':
		return "username", 2
	case 'e':
		return "endpoint_name", 2
	}
	return "", 0
}
