package jt808

import "encoding/binary"

// Edition is that of the standard which a terminal follows.
type Edition uint8

// The editions. Those of 2011 and 2013 have the same header.
const (
	Unknown Edition = iota
	Edition2011
	Edition2013
	Edition2019
)

func (e Edition) String() string {
	switch e {
	case Edition2011:
		return "2011"
	case Edition2013:
		return "2013"
	case Edition2019:
		return "2019"
	}
	return "unknown"
}

// Limits of the wire.
const (
	MaxBody    = 1<<10 - 1               // bytes of the body of one packet (§4.4.3, bits 0 to 9)
	MaxContent = maxHeader + MaxBody + 1 // unescaped, with the check byte
	MaxWire    = 2 + 2*MaxContent        // when every byte is escaped

	maxHeader = 21
)

// Bits of the body's attributes (§4.4.3).
const (
	attrLength    = 0x03FF
	attrEncrypt   = 10 // three bits
	attrSub       = 1 << 13
	attrVersioned = 1 << 14
	attrReserved  = 1 << 15
)

// Header is that of a message, or of one packet of a long one (§4.4.3).
type Header struct {
	ID        uint16
	Encrypt   uint8 // three bits: 0 not encrypted, 1 RSA
	Versioned bool  // the layout of 2019: with a version, and 20 digits of phone
	Version   uint8 // of the protocol, 1 for the first of 2019
	Phone     Phone
	Serial    uint16 // of the sender, of this packet
	Total     uint16 // packets of the message; 0 = it is not sub-packaged
	Index     uint16 // of this packet, from 1
	Length    int    // of the body, bytes
}

// Sub tells whether the frame is one packet of a longer message.
func (h Header) Sub() bool { return h.Total > 0 || h.Index > 0 }

// First is the serial number of the first packet of the message.
func (h Header) First() uint16 {
	if !h.Sub() {
		return h.Serial
	}
	return h.Serial - (h.Index - 1)
}

// size is the length of the header on the wire.
func (h Header) size() int {
	n := 12
	if h.Versioned {
		n = 17
	}
	if h.Sub() {
		n += 4
	}
	return n
}

// readHeader reads the header of a content: ErrShort when there is not all of
// it, ErrPacket with all of it.
func readHeader(b []byte) (h Header, err error) {
	if len(b) < 4 {
		return h, ErrShort
	}
	h.ID = binary.BigEndian.Uint16(b)
	attr := binary.BigEndian.Uint16(b[2:])
	h.Length = int(attr & attrLength)
	h.Encrypt = uint8(attr>>attrEncrypt) & 7
	h.Versioned = attr&attrVersioned != 0
	sub := attr&attrSub != 0
	b = b[4:]
	digits := shortPhone
	if h.Versioned {
		if len(b) < 1 {
			return h, ErrShort
		}
		h.Version, b, digits = b[0], b[1:], longPhone
	}
	if len(b) < digits/2+2 {
		return h, ErrShort
	}
	h.Phone, b = readPhone(b[:digits/2]), b[digits/2:]
	h.Serial, b = binary.BigEndian.Uint16(b), b[2:]
	if !sub {
		return h, nil
	}
	if len(b) < 4 {
		return h, ErrShort
	}
	h.Total, h.Index = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if h.Index == 0 || h.Index > h.Total {
		return h, ErrPacket
	}
	return h, nil
}

// append writes the header for a body of n bytes.
func (h Header) append(dst []byte, n int) []byte {
	attr := uint16(n) | uint16(h.Encrypt&7)<<attrEncrypt
	if h.Sub() {
		attr |= attrSub
	}
	if h.Versioned {
		attr |= attrVersioned
	}
	dst = binary.BigEndian.AppendUint16(dst, h.ID)
	dst = binary.BigEndian.AppendUint16(dst, attr)
	if h.Versioned {
		dst = append(dst, h.Version)
	}
	dst = h.Phone.append(dst, h.Versioned)
	dst = binary.BigEndian.AppendUint16(dst, h.Serial)
	if h.Sub() {
		dst = binary.BigEndian.AppendUint16(dst, h.Total)
		dst = binary.BigEndian.AppendUint16(dst, h.Index)
	}
	return dst
}
