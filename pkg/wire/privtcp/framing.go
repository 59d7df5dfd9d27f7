package privtcp

// Kind tells how the end of a frame is found.
type Kind string

// Kinds of framing. The empty Kind is Raw.
const (
	Raw       Kind = "raw"
	Fixed     Kind = "fixed"
	Delimiter Kind = "delimiter"
	Length    Kind = "length"
	Marks     Kind = "marks"
)

// DefaultMax is what a Max of zero stands for.
const DefaultMax = 65535

// Framing describes the frames of a protocol. The zero Framing is raw: what a read
// brings is a frame. Except for Validate, methods and NewSplitter want a Framing
// that Validate accepts.
type Framing struct {
	Kind Kind

	// Length of every frame in bytes, checksum included. For fixed.
	Length int

	// Delimiter ends a frame, and is taken off unless KeepDelimiter is set; then
	// Append writes it only where the payload has none yet. For delimiter.
	Delimiter     []byte
	KeepDelimiter bool

	// Field is where the length of a frame stands. For length.
	Field LengthField

	// Start opens a frame. For marks it is taken off, and may be the same as End,
	// which then ends one frame and starts the next, or empty. For fixed and length
	// it is optional: frames are known to begin so, it belongs to the frame and
	// counts in all offsets, and it lets a stream find its step again.
	Start []byte

	// End closes a frame and Escapes keep it out of the inside. For marks. Where
	// an escape keeps Start out too, a Start inside is taken for a new frame after
	// one that was cut.
	End     []byte
	Escapes []Escape

	Checksum Checksum

	// Max is the most bytes of one frame as on the wire: header, marks, escapes,
	// delimiter and checksum included. Zero stands for DefaultMax.
	Max int
}

// LengthField is an unsigned binary number in the header of a frame. A frame has
// value + Adjust + Offset + Width bytes: the value counts what follows the field,
// and Adjust makes good where it counts something else. A length that counts the
// whole frame has an Adjust of -(Offset+Width), one that leaves out a checksum of
// two bytes at the end has 2.
type LengthField struct {
	Offset       int // bytes before the field
	Width        int // bytes of the field: 1, 2, 3, 4 or 8
	LittleEndian bool
	Adjust       int
	Strip        int // bytes taken off the front of the frame
	// Header is what Append writes for the bytes that Strip took off: Start, these
	// bytes behind it, and zeros up to Strip. The length is written over it.
	Header []byte
}

// Escape is a sequence that stands for another one inside marks.
type Escape struct {
	From []byte // in the payload
	To   []byte // on the wire, not shorter
}

func (f *Framing) max() int {
	if f.Max == 0 {
		return DefaultMax
	}
	return f.Max
}

// trailer is the number of bytes of checksum that are no part of the payload but
// of the frame that the checksum is counted in.
func (f *Framing) trailer() int {
	if f.Checksum.Keep {
		return 0
	}
	return f.Checksum.size()
}

// after is the number of bytes that follow the end mark.
func (f *Framing) after() int {
	if f.Checksum.AfterEnd {
		return f.Checksum.size()
	}
	return 0
}

// strip is the number of bytes taken off the front of a counted frame.
func (f *Framing) strip() int {
	if f.Kind == Length {
		return f.Field.Strip
	}
	return 0
}

// frameLength reads how long the frame at the front of b is. The error is
// ErrIncomplete, ErrTooLong or ErrLength.
func (f *Framing) frameLength(b []byte) (int, error) {
	if f.Kind == Fixed {
		return f.Length, nil
	}
	end := f.Field.Offset + f.Field.Width
	if len(b) < end {
		return 0, ErrIncomplete
	}
	value := f.Field.get(b)
	if value > 1<<40 { // far beyond any Max, and far from overflow
		return 0, ErrTooLong
	}
	n := int64(value) + int64(f.Field.Adjust) + int64(end)
	switch {
	case n > int64(f.max()):
		return 0, ErrTooLong
	case n < int64(max(end, f.strip()+f.trailer())):
		return 0, ErrLength
	}
	return int(n), nil
}

func (l *LengthField) get(frame []byte) (value uint64) {
	b := frame[l.Offset : l.Offset+l.Width]
	for i := range b {
		at := i
		if l.LittleEndian {
			at = l.Width - 1 - i
		}
		value = value<<8 | uint64(b[at])
	}
	return value
}

// put writes value into the field of frame and tells whether it fits.
func (l *LengthField) put(frame []byte, value int) bool {
	if value < 0 || l.Width < 8 && uint64(value)>>(8*l.Width) != 0 {
		return false
	}
	b := frame[l.Offset : l.Offset+l.Width]
	for i := range b {
		at := l.Width - 1 - i
		if l.LittleEndian {
			at = i
		}
		b[at] = byte(uint64(value) >> (8 * i))
	}
	return true
}
