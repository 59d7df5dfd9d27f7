package privtcp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Text tells how bytes are read as text.
type Text string

// Texts. The empty Text is ASCII.
const (
	ASCII Text = "ascii" // printable characters; blanks and NULs around them are dropped
	Hex   Text = "hex"   // two lower-case digits a byte
	BCD   Text = "bcd"   // two decimal digits a byte, leading zeros kept
)

// ErrText is for bytes that are not of the Text they should be.
var ErrText = errors.New("not the text that it should be")

func (t Text) known() bool { return t == "" || t == ASCII || t == Hex || t == BCD }

func (t Text) read(b []byte) (string, error) {
	if t == Hex {
		return hex.EncodeToString(b), nil
	}
	if t == BCD {
		text := hex.EncodeToString(b)
		if strings.ContainsAny(text, "abcdef") {
			return "", fmt.Errorf("%w: bcd", ErrText)
		}
		return text, nil
	}
	b = bytes.Trim(b, " \x00")
	for _, c := range b {
		if c < ' ' || c > '~' {
			return "", fmt.Errorf("%w: ascii", ErrText)
		}
	}
	return string(b), nil
}

// Field is a part of a frame. The zero Field is absent.
type Field struct {
	Offset int    // where it begins; negative counts from the end of the frame
	Length int    // its bytes; or
	Until  []byte // what it ends before: the first such after Offset
	Text   Text
}

func (f *Field) set() bool  { return f.Length != 0 || len(f.Until) > 0 }
func (f *Field) zero() bool { return !f.set() && f.Offset == 0 && f.Text == "" }

func (f *Field) validate() error {
	switch {
	case f.zero():
		return nil
	case f.Length < 0 || f.Length > ceiling:
		return fmt.Errorf("length: must be from 1 to %d", ceiling)
	case (f.Length > 0) == (len(f.Until) > 0):
		return fmt.Errorf("length: either this or until must be set")
	case f.Offset < -ceiling || f.Offset > ceiling:
		return fmt.Errorf("offset: must be from %d to %d", -ceiling, ceiling)
	case f.Offset < 0 && f.Length > -f.Offset:
		return fmt.Errorf("length: reaches beyond the end of the frame")
	case !f.Text.known():
		return fmt.Errorf("text: %q is none of ascii, hex, bcd", f.Text)
	}
	return nil
}

// cut returns the bytes of the field.
func (f *Field) cut(frame []byte) ([]byte, error) {
	if !f.set() {
		return nil, nil
	}
	from := f.Offset
	if from < 0 {
		from += len(frame)
	}
	if from < 0 || from > len(frame) {
		return nil, ErrShort
	}
	b := frame[from:]
	if f.Length > 0 {
		if len(b) < f.Length {
			return nil, ErrShort
		}
		return b[:f.Length], nil
	}
	end := bytes.Index(b, f.Until)
	if end < 0 {
		return nil, ErrShort
	}
	return b[:end], nil
}
