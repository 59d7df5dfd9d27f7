package jt808

import "strings"

// Digits of a phone on the wire.
const (
	shortPhone = 12 // 2011 and 2013
	longPhone  = 20 // 2019
)

// Phone is the terminal's phone number as it is on the wire, 12 or 20 digits
// with leading zeros. It is comparable. The zero value is no phone.
//
// The standard knows decimal digits only. Terminals in the field send others
// too, and mean them as their name: these are read as a to f.
type Phone struct {
	bcd [longPhone / 2]byte // packed digits, from the left
	n   uint8               // digits
}

const digits = "0123456789abcdef"

// readPhone takes packed digits.
func readPhone(b []byte) (p Phone) {
	p.n = uint8(2 * len(b))
	copy(p.bcd[:], b)
	return p
}

// ParsePhone reads digits and puts zeros before them until there are 12, or 20
// for the layout of 2019. It fails with ErrPhone for anything but digits and for
// too many.
func ParsePhone(s string, versioned bool) (p Phone, err error) {
	p.n = shortPhone
	if versioned {
		p.n = longPhone
	}
	s = strings.TrimLeft(s, "0")
	if len(s) > int(p.n) {
		return Phone{}, ErrPhone
	}
	for i := range len(s) {
		c := strings.IndexByte(digits, s[len(s)-1-i])
		if c < 0 {
			return Phone{}, ErrPhone
		}
		at := int(p.n) - 1 - i
		p.bcd[at/2] |= byte(c) << (4 * (1 - at%2))
	}
	return p, nil
}

// String is all digits.
func (p Phone) String() string {
	var b [longPhone]byte
	for i := range p.n {
		b[i] = digits[p.bcd[i/2]>>(4*(1-i%2))&15]
	}
	return string(b[:p.n])
}

// Key is the phone without leading zeros, "0" if it has nothing else: the same
// for a terminal before and after it was brought from one edition to another.
func (p Phone) Key() string {
	if s := strings.TrimLeft(p.String(), "0"); s != "" {
		return s
	}
	return "0"
}

// append writes the digits in a form that may be another than that in which
// they came.
func (p Phone) append(dst []byte, versioned bool) []byte {
	want := uint8(shortPhone)
	if versioned {
		want = longPhone
	}
	if p.n == 0 {
		p.n = want
	}
	if have := int(p.n) / 2; p.n > want {
		return append(dst, p.bcd[have-int(want)/2:have]...)
	}
	for range (want - p.n) / 2 {
		dst = append(dst, 0)
	}
	return append(dst, p.bcd[:p.n/2]...)
}
