package privtcp

import (
	"bytes"
	"fmt"
)

// ceiling keeps sums of numbers of a Framing far from overflow.
const ceiling = 1 << 28

// Validate tells what is wrong with a Framing. Errors name the key, as in
// "field.width: must be 1, 2, 3, 4 or 8". Keys of another kind must be left out.
func (f Framing) Validate() error {
	if f.Max < 0 || f.Max > ceiling {
		return fmt.Errorf("max: must be from 0 to %d", ceiling)
	}
	if err := f.validateForeign(); err != nil {
		return err
	}
	if err := f.validateChecksum(); err != nil {
		return err
	}
	switch f.Kind {
	case Fixed:
		return f.validateFixed()
	case Delimiter:
		return f.validateDelimiter()
	case Length:
		return f.validateLength()
	case Marks:
		return f.validateMarks()
	default: // raw has nothing else
		return nil
	}
}

// validateForeign finds keys that the kind has no use for.
func (f *Framing) validateForeign() error {
	kind := f.Kind
	switch kind {
	case "":
		kind = Raw
	case Raw, Fixed, Delimiter, Length, Marks:
	default:
		return fmt.Errorf("kind: %q is none of raw, fixed, delimiter, length, marks", f.Kind)
	}
	l := f.Field
	for _, key := range []struct {
		name string
		set  bool
		of   []Kind
	}{
		{"length", f.Length != 0, []Kind{Fixed}},
		{"delimiter", len(f.Delimiter) > 0, []Kind{Delimiter}},
		{"keep_delimiter", f.KeepDelimiter, []Kind{Delimiter}},
		{"field", l.Offset|l.Width|l.Adjust|l.Strip|len(l.Header) != 0 || l.LittleEndian, []Kind{Length}},
		{"start", len(f.Start) > 0, []Kind{Fixed, Length, Marks}},
		{"end", len(f.End) > 0, []Kind{Marks}},
		{"escapes", len(f.Escapes) > 0, []Kind{Marks}},
		{"checksum", f.Checksum != Checksum{} && f.Checksum != Checksum{Kind: NoSum}, []Kind{Fixed, Delimiter, Length, Marks}},
	} {
		used := false
		for _, k := range key.of {
			used = used || k == kind
		}
		if key.set && !used {
			return fmt.Errorf("%s: means nothing to kind %s", key.name, kind)
		}
	}
	return nil
}

func (f *Framing) validateFixed() error {
	switch {
	case f.Length < 1 || f.Length > f.max():
		return fmt.Errorf("length: must be from 1 to max, which is %d", f.max())
	case len(f.Start) > f.Length:
		return fmt.Errorf("start: longer than length")
	case f.trailer() > f.Length:
		return fmt.Errorf("checksum: longer than length")
	}
	if _, _, _, ok := f.Checksum.place(f.Length); !ok {
		return fmt.Errorf("checksum: from, to or at lies outside of length")
	}
	return nil
}

func (f *Framing) validateDelimiter() error {
	switch {
	case len(f.Delimiter) == 0:
		return fmt.Errorf("delimiter: must not be empty")
	case len(f.Delimiter) >= f.max():
		return fmt.Errorf("delimiter: must be shorter than max, which is %d", f.max())
	case f.KeepDelimiter && f.Checksum.size() > 0 && !f.Checksum.Keep:
		return fmt.Errorf("checksum.keep: must be set with keep_delimiter")
	}
	return nil
}

func (f *Framing) validateLength() error {
	l := f.Field
	switch {
	case l.Width != 1 && l.Width != 2 && l.Width != 3 && l.Width != 4 && l.Width != 8:
		return fmt.Errorf("field.width: must be 1, 2, 3, 4 or 8")
	case l.Offset < 0 || l.Offset > f.max()-l.Width:
		return fmt.Errorf("field.offset: the field must lie within max, which is %d", f.max())
	case l.Adjust < -ceiling || l.Adjust > ceiling:
		return fmt.Errorf("field.adjust: must be from %d to %d", -ceiling, ceiling)
	case l.Strip < 0 || l.Strip > f.max():
		return fmt.Errorf("field.strip: must be from 0 to max, which is %d", f.max())
	case len(l.Header) > l.Strip:
		return fmt.Errorf("field.header: longer than field.strip")
	case len(f.Start) > l.Offset:
		return fmt.Errorf("start: must end before the length field")
	}
	if len(f.Start) > 0 && len(l.Header) > 0 {
		n := min(len(f.Start), len(l.Header))
		if !bytes.Equal(f.Start[:n], l.Header[:n]) {
			return fmt.Errorf("field.header: must begin with start")
		}
	}
	return nil
}

func (f *Framing) validateChecksum() error {
	c := &f.Checksum
	if c.Kind.width() < 0 {
		return fmt.Errorf("checksum.kind: %q is not known", c.Kind)
	}
	if c.size() == 0 {
		if *c != (Checksum{Kind: c.Kind}) {
			return fmt.Errorf("checksum.kind: must be set with other keys of checksum")
		}
		return nil
	}
	for _, key := range []struct {
		name string
		n    int
	}{{"from", c.From}, {"to", c.To}, {"at", c.At}} {
		if key.n < -ceiling || key.n > ceiling {
			return fmt.Errorf("checksum.%s: must be from %d to %d", key.name, -ceiling, ceiling)
		}
	}
	switch {
	case c.From >= 0 && c.To > 0 && c.To <= c.From, c.From < 0 && c.To < 0 && c.To <= c.From:
		return fmt.Errorf("checksum.to: must lie behind checksum.from")
	case c.At < 0 && c.At > -c.size():
		return fmt.Errorf("checksum.at: %d leaves no room for %d bytes", c.At, c.size())
	case !c.Keep && !c.last():
		return fmt.Errorf("checksum.keep: must be set where the checksum is not last")
	case c.AfterEnd && (f.Kind != Marks || f.shared()):
		return fmt.Errorf("checksum.after_end: needs kind marks, and a start that is not the end")
	case c.AfterEnd && (c.Keep || !c.last()):
		return fmt.Errorf("checksum.after_end: the checksum is last and not kept")
	}
	return nil
}
