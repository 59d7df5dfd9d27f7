package privtcp

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Template writes payloads from text with fields, such as
//
//	\x80\x01${frame[2:4]}${clientid}\r\n
//
// The text is that of ParseBytes. The fields are
//
//	${frame}        the received frame, as Next returned it
//	${frame[a:b]}   its bytes a to b; negative ones count from the end, and either
//	                may be left out
//	${frame[a]}     its byte a
//	${len}          the number of its bytes, in decimal digits
//	${clientid}     Vars.ClientID
//	${username}     Vars.Username
//	${unix}         Vars.Now, in seconds since 1970, in decimal digits
//
// and each may end in |hex, as in ${frame[0:2]|hex}, to be written as upper-case
// hexadecimal digits. What comes out goes through Framing.Append. A Template may
// be used concurrently.
type Template struct {
	pieces []piece
}

// Vars are what fields stand for beside the frame.
type Vars struct {
	ClientID string
	Username string
	Now      time.Time
}

// piece is literal text, and what follows it.
type piece struct {
	text  []byte
	field string // frame, len, ..., or "" for nothing
	cut   slice
	hex   bool
}

// ParseTemplate reads a Template.
func ParseTemplate(text string) (*Template, error) {
	t := &Template{}
	for {
		var p piece
		var err error
		if p.text, text, err = appendText(nil, text); err != nil {
			return nil, err
		}
		if text == "" {
			t.pieces = append(t.pieces, p)
			return t, nil
		}
		field, rest, ok := strings.Cut(text[len("${"):], "}")
		if !ok {
			return nil, fmt.Errorf("${ without }")
		}
		if err := p.parse(field); err != nil {
			return nil, fmt.Errorf("${%s}: %w", field, err)
		}
		t.pieces = append(t.pieces, p)
		text = rest
	}
}

// parse reads what stands between ${ and }.
func (p *piece) parse(field string) (err error) {
	name, form, has := strings.Cut(field, "|")
	if has && form != "hex" {
		return fmt.Errorf("unknown form %q", form)
	}
	p.hex = has
	name, index, has := strings.Cut(name, "[")
	p.field = name
	switch name {
	case "frame":
		p.cut = slice{hasFrom: true}
		if has {
			p.cut, err = parseSlice(index)
		}
		return err
	case "len", "clientid", "username", "unix":
		if has {
			return fmt.Errorf("only frame can be cut")
		}
		return nil
	}
	return fmt.Errorf("unknown field")
}

// Append appends the payload for a received frame, which may be nil where the
// template does not cut it. The error is ErrShort, and dst then comes back as it
// was.
func (t *Template) Append(dst, frame []byte, vars Vars) ([]byte, error) {
	out := dst
	for i := range t.pieces {
		p := &t.pieces[i]
		out = append(out, p.text...)
		from := len(out)
		switch p.field {
		case "frame":
			b, ok := p.cut.of(frame)
			if !ok {
				return dst, ErrShort
			}
			out = append(out, b...)
		case "len":
			out = strconv.AppendInt(out, int64(len(frame)), 10)
		case "clientid":
			out = append(out, vars.ClientID...)
		case "username":
			out = append(out, vars.Username...)
		case "unix":
			out = strconv.AppendInt(out, vars.Now.Unix(), 10)
		}
		if p.hex {
			out = spellHex(out, from)
		}
	}
	return out, nil
}

// spellHex replaces the bytes of b behind from by their digits.
func spellHex(b []byte, from int) []byte {
	n := len(b) - from
	b = append(b, b[from:]...)
	for i := from + n - 1; i >= from; i-- {
		c := b[i]
		b[from+2*(i-from)], b[from+2*(i-from)+1] = upperDigits[c>>4], upperDigits[c&15]
	}
	return b
}
