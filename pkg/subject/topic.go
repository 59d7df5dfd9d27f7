package subject

import (
	"errors"
	"fmt"
	"strings"
)

// MaxTopic is the longest topic or filter in bytes, that of MQTT.
const MaxTopic = 65535

// Reasons for which a topic or filter is refused.
var (
	ErrEmpty     = errors.New("topic is empty")
	ErrTooLong   = errors.New("topic is too long")
	ErrCharacter = errors.New("topic has a character that subjects cannot carry (white space, control or DEL)")
	ErrWildcard  = errors.New("wildcard where none is allowed")
	ErrReserved  = errors.New("topic is reserved")
)

// FromTopic maps a topic name to a subject as nats-server's MQTT does: "/"
// separates, a dot is written "//", an empty level "/". Wildcards, white space
// and DEL are refused.
func FromTopic(topic string) (string, error) { return convert(topic, false) }

// FromFilter maps a topic filter to the subjects that must be subscribed to:
// "+" or "*" is one level, "#" or ">" the rest. A filter that ends in "#"
// matches its parent too (MQTT 3.1.1 §4.7.1.2), which a NATS ">" does not, so
// then two subjects are returned.
func FromFilter(filter string) ([]string, error) {
	s, err := convert(filter, true)
	if err != nil {
		return nil, err
	}
	if parent, ok := strings.CutSuffix(s, ".>"); ok {
		return []string{s, parent}, nil
	}
	return []string{s}, nil
}

// IsFilter tells whether a topic has a wildcard level.
func IsFilter(topic string) bool {
	for level := range strings.SplitSeq(topic, "/") {
		if wildcard(level) {
			return true
		}
	}
	return false
}

func convert(topic string, filter bool) (string, error) {
	switch {
	case topic == "":
		return "", ErrEmpty
	case len(topic) > MaxTopic:
		return "", ErrTooLong
	}
	var b strings.Builder
	b.Grow(len(topic) + 8)
	rest, more := topic, true
	for first := true; more; first = false {
		var level string
		level, rest, more = strings.Cut(rest, "/")
		if !first {
			b.WriteByte('.')
		}
		if err := writeLevel(&b, level, filter, !more); err != nil {
			return "", fmt.Errorf("%w: %q", err, topic)
		}
	}
	return b.String(), nil
}

func writeLevel(b *strings.Builder, level string, filter, last bool) error {
	if level == "" {
		b.WriteByte('/')
		return nil
	}
	if wildcard(level) {
		if !filter || ((level == "#" || level == ">") && !last) {
			return ErrWildcard
		}
		if level == "+" || level == "*" {
			b.WriteByte('*')
		} else {
			b.WriteByte('>')
		}
		return nil
	}
	for i := 0; i < len(level); i++ {
		switch c := level[i]; {
		case c <= ' ' || c == 0x7f:
			return ErrCharacter
		case c == '+' || c == '#':
			return ErrWildcard // MQTT 3.1.1 §4.7.1: a wildcard fills its level
		case c == '.':
			b.WriteString("//")
		default:
			b.WriteByte(c)
		}
	}
	return nil
}

func wildcard(level string) bool {
	return level == "+" || level == "#" || level == "*" || level == ">"
}

// ToTopic maps a subject back to the topic name a device knows.
func ToTopic(subj string) string {
	if strings.IndexByte(subj, '/') < 0 {
		return strings.ReplaceAll(subj, ".", "/")
	}
	b := make([]byte, 0, len(subj))
	for i := 0; i < len(subj); i++ {
		switch c := subj[i]; {
		case c == '.':
			b = append(b, '/')
		case c != '/':
			b = append(b, c)
		case i+1 < len(subj) && subj[i+1] == '/':
			b = append(b, '.')
			i++
		case i+1 < len(subj) && subj[i+1] == '.':
			b = append(b, '/') // an empty level before a separator
			i++
		}
	}
	return string(b)
}

// Reserved tells whether a device must be kept away from a subject or filter:
// the control plane "gw.", everything that begins with "$", and inboxes. A
// filter whose first token is a wildcard reaches them all.
func Reserved(subj string) bool {
	first, _, _ := strings.Cut(subj, ".")
	return first == "gw" || first == "*" || first == ">" || first == "_INBOX" || strings.HasPrefix(first, "$")
}
