package subject

import (
	"errors"
	"strings"
)

// ErrToken is returned by [Untoken] for text that [Token] never writes.
var ErrToken = errors.New("subject: not an encoded token")

const hexDigits = "0123456789ABCDEF"

// Token encodes any text as one subject token: [A-Za-z0-9_-] stay, every other
// byte becomes =XX (upper case hex), and the empty text becomes "=". The result
// is legal in subjects, KV keys and consumer names, and no two texts share one.
func Token(s string) string {
	if s == "" {
		return "="
	}
	n := 0
	for i := 0; i < len(s); i++ {
		if !plain(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := 0; i < len(s); i++ {
		if c := s[i]; plain(c) {
			b = append(b, c)
		} else {
			b = append(b, '=', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}

// Untoken is the inverse of [Token].
func Untoken(t string) (string, error) {
	if t == "=" {
		return "", nil
	}
	if t == "" {
		return "", ErrToken
	}
	if !strings.Contains(t, "=") {
		return t, allPlain(t)
	}
	b := make([]byte, 0, len(t))
	for i := 0; i < len(t); i++ {
		switch c := t[i]; {
		case plain(c):
			b = append(b, c)
		case c == '=' && i+2 < len(t):
			hi, lo := strings.IndexByte(hexDigits, t[i+1]), strings.IndexByte(hexDigits, t[i+2])
			if hi < 0 || lo < 0 || plain(byte(hi<<4|lo)) {
				return "", ErrToken
			}
			b = append(b, byte(hi<<4|lo))
			i += 2
		default:
			return "", ErrToken
		}
	}
	return string(b), nil
}

func allPlain(t string) error {
	for i := 0; i < len(t); i++ {
		if !plain(t[i]) {
			return ErrToken
		}
	}
	return nil
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
