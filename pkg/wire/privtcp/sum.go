package privtcp

import "hash/crc32"

// Sum is an algorithm of checksums.
type Sum string

// Algorithms. The names of CRCs in brackets are those of the catalogue of Greg
// Cook, as many protocols say no more than "CRC-16".
const (
	NoSum       Sum = "none"         // and so is the empty Sum
	XOR         Sum = "xor"          // 8 bits: all bytes xored
	Sum8        Sum = "sum8"         // all bytes added, modulo 2^8
	LRC         Sum = "lrc"          // sum8, negated
	Sum16       Sum = "sum16"        // all bytes added, modulo 2^16
	CRC16Modbus Sum = "crc16-modbus" // CRC-16/MODBUS
	CRC16CCITT  Sum = "crc16-ccitt"  // CRC-16/IBM-3740, also known as CCITT-FALSE
	CRC16XModem Sum = "crc16-xmodem" // CRC-16/XMODEM
	CRC16X25    Sum = "crc16-x25"    // CRC-16/IBM-SDLC
	CRC16Kermit Sum = "crc16-kermit" // CRC-16/KERMIT
	CRC32       Sum = "crc32"        // CRC-32/ISO-HDLC
	CRC32C      Sum = "crc32c"       // CRC-32/ISCSI
)

// width is the number of bytes of a sum, 0 for none and -1 for an unknown one.
func (s Sum) width() int {
	switch s {
	case "", NoSum:
		return 0
	case XOR, Sum8, LRC:
		return 1
	case Sum16, CRC16Modbus, CRC16CCITT, CRC16XModem, CRC16X25, CRC16Kermit:
		return 2
	case CRC32, CRC32C:
		return 4
	default:
		return -1
	}
}

// initial is the state before the first byte.
func (s Sum) initial() uint32 {
	switch s {
	case CRC16Modbus, CRC16CCITT, CRC16X25:
		return 0xffff
	default:
		return 0
	}
}

// update adds bytes to a state.
func (s Sum) update(state uint32, b []byte) uint32 {
	switch s {
	case XOR:
		for _, c := range b {
			state ^= uint32(c)
		}
	case Sum8, Sum16, LRC:
		for _, c := range b {
			state += uint32(c)
		}
	case CRC16Modbus:
		return reflected(&modbusTable, state, b)
	case CRC16X25, CRC16Kermit:
		return reflected(&ccittReflectedTable, state, b)
	case CRC16CCITT, CRC16XModem:
		for _, c := range b {
			state = state<<8&0xffff ^ uint32(ccittTable[byte(state>>8)^c])
		}
	case CRC32:
		return crc32.Update(state, crc32.IEEETable, b)
	case CRC32C:
		return crc32.Update(state, crc32.MakeTable(crc32.Castagnoli), b)
	default:
	}
	return state
}

// final makes the sum of a state.
func (s Sum) final(state uint32) uint32 {
	switch s {
	case LRC:
		return -state & 0xff
	case Sum8:
		return state & 0xff
	case Sum16:
		return state & 0xffff
	case CRC16X25:
		return state ^ 0xffff
	default:
		return state
	}
}

// Tables of CRCs; nothing writes to them.
var (
	modbusTable         = reflectedTable(0xa001)
	ccittReflectedTable = reflectedTable(0x8408)
	ccittTable          = straightTable(0x1021)
)

func reflected(table *[256]uint16, state uint32, b []byte) uint32 {
	for _, c := range b {
		state = state>>8 ^ uint32(table[byte(state)^c])
	}
	return state
}

func reflectedTable(poly uint16) (table [256]uint16) {
	for i := range table {
		crc := uint16(i)
		for range 8 {
			low := crc & 1
			crc >>= 1
			crc ^= low * poly
		}
		table[i] = crc
	}
	return table
}

func straightTable(poly uint16) (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			high := crc >> 15
			crc <<= 1
			crc ^= high * poly
		}
		table[i] = crc
	}
	return table
}
