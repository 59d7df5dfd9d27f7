package config

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// numeric values end without a blank, so that a comment may follow at once.
var numeric = regexp.MustCompile(`^(?:\d{4}-\d\d-\d\dT[\d:]{8}Z|\d+\.\d+\.[\d.:-]*|-?\d+\.\d+|-\d+)`)

func (s *scanner) scalar() {
	rest := s.text[s.pos:]
	if rest == "" {
		return
	}
	switch n := 0; rest[0] {
	case '"':
		for n = 1; n < len(rest) && rest[n] != '"'; n++ {
			if rest[n] == '\\' {
				n++
			}
		}
		s.pos = min(s.pos+n+1, len(s.text))
	case '\'':
		s.pos += quotedLen(rest, '\'')
	case '(':
		for n = 2; n < len(rest); n++ {
			if rest[n] == ')' && rest[n-1] == '\n' && (n+1 == len(rest) || rest[n+1] == '\n') {
				break
			}
		}
		s.pos = min(s.pos+n+1, len(s.text))
	default:
		if n = len(numeric.FindString(rest)); n == 0 || n < len(rest) && strings.ContainsRune("kKmMgGtTpPeE", rune(rest[n])) {
			n = rawLen(rest)
		}
		s.pos += n
	}
}

// rawLen is the length of a string without quotes. What follows digits and ends
// no number belongs to the string, be it a bracket.
func rawLen(rest string) int {
	n := len(rest) - len(strings.TrimLeftFunc(rest, unicode.IsDigit))
	if n > 0 && n < len(rest) && !strings.ContainsRune("\n\r;,} \t", rune(rest[n])) {
		n++
	}
	for ; n < len(rest); n++ {
		switch rest[n] {
		case '\\':
			n++
		case '\'':
			return n + 1
		case '\n', '\r', ';', ',', ']', '}', ' ', '\t':
			return n
		}
	}
	return len(rest)
}

func quotedLen(rest string, quote byte) int {
	if n := strings.IndexByte(rest[1:], quote); n >= 0 {
		return n + 2
	}
	return len(rest)
}

// key reads a key; after it stands a separator, a blank or the value.
func (s *scanner) key() (key string, quoted bool) {
	rest := s.text[s.pos:]
	if rest[0] == '"' || rest[0] == '\'' {
		n := quotedLen(rest, rest[0])
		s.pos += n
		return strings.Trim(rest[:n], rest[:1]), true
	}
	n := strings.IndexFunc(rest, func(r rune) bool { return r == ':' || r == '=' || unicode.IsSpace(r) })
	if n < 0 {
		n = len(rest)
	}
	s.pos += max(n, 1)
	return rest[:n], false
}

// skip goes over white space, comments and the characters of more.
func (s *scanner) skip(more string) {
	for s.pos < len(s.text) {
		rest := s.text[s.pos:]
		r, size := utf8.DecodeRuneInString(rest)
		switch {
		case unicode.IsSpace(r), strings.ContainsRune(more, r):
			s.pos += size
		case r == '#', strings.HasPrefix(rest, "//"):
			n := strings.IndexAny(rest, "\r\n")
			if n < 0 {
				n = len(rest)
			}
			s.pos += n
		default:
			return
		}
	}
}

// spaces goes over white space: before a value # begins no comment.
func (s *scanner) spaces() {
	s.pos = len(s.text) - len(strings.TrimLeftFunc(s.text[s.pos:], unicode.IsSpace))
}

func blanks(s string) int { return len(s) - len(strings.TrimLeft(s, " \t")) }
