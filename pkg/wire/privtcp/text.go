package privtcp

import (
	"fmt"
	"strings"
)

// ParseBytes reads bytes written as text: \xNN is any byte, and \r, \n, \t, \0, \\
// and \$ are what they are elsewhere. Everything else stands for itself.
func ParseBytes(text string) ([]byte, error) {
	out, rest, err := appendText(nil, text)
	if err == nil && rest != "" {
		return nil, fmt.Errorf("${ has no meaning here; write \\${")
	}
	return out, err
}

// appendText appends what text stands for up to its end or to "${", where rest
// begins.
func appendText(dst []byte, text string) (out []byte, rest string, err error) {
	for text != "" {
		i := strings.IndexAny(text, `\$`)
		if i < 0 {
			return append(dst, text...), "", nil
		}
		dst, text = append(dst, text[:i]...), text[i:]
		if strings.HasPrefix(text, "${") {
			return dst, text, nil
		}
		if text[0] == '$' {
			dst, text = append(dst, '$'), text[1:]
			continue
		}
		c, n, err := unescape(text)
		if err != nil {
			return nil, "", err
		}
		dst, text = append(dst, c), text[n:]
	}
	return dst, "", nil
}

// unescape reads the escape that text begins with and tells its length.
func unescape(text string) (c byte, n int, err error) {
	if len(text) < 2 {
		return 0, 0, fmt.Errorf(`a \ at the end; write \\`)
	}
	switch text[1] {
	case '\\', '$':
		return text[1], 2, nil
	case 'r':
		return '\r', 2, nil
	case 'n':
		return '\n', 2, nil
	case 't':
		return '\t', 2, nil
	case '0':
		return 0, 2, nil
	case 'x':
		if len(text) >= 4 {
			if high, low := digit(text[2]), digit(text[3]); high < 16 && low < 16 {
				return high<<4 | low, 4, nil
			}
		}
		return 0, 0, fmt.Errorf(`\x needs two hexadecimal digits`)
	}
	return 0, 0, fmt.Errorf("unknown escape %q", text[:2])
}
