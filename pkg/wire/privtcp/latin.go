package privtcp

import (
	"fmt"
	"io"
	"regexp"
)

// compile compiles an expression that is matched byte by byte. RE2 takes time
// linear in the frame, whatever the expression.
func compile(expr string) (*regexp.Regexp, error) {
	for i := range len(expr) {
		if expr[i] >= 0x80 {
			return nil, fmt.Errorf(`only ASCII and \xNN, as frames are matched byte by byte`)
		}
	}
	return regexp.Compile(expr)
}

// bytewise reads bytes as the characters \x00 to \xff, so that an expression can
// name each of them; regexp itself takes what is no UTF-8 for one and the same.
// Positions come out as those of the bytes.
type bytewise struct {
	rest []byte
}

// ReadRune implements io.RuneReader.
func (b *bytewise) ReadRune() (rune, int, error) {
	if len(b.rest) == 0 {
		return 0, 0, io.EOF
	}
	c := b.rest[0]
	b.rest = b.rest[1:]
	return rune(c), 1, nil
}
