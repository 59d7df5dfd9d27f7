package privtcp_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/privtcp"
)

func fromHex(tb testing.TB, text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	require.NoError(tb, err)
	return b
}

func xor(b []byte) (sum byte) {
	for _, c := range b {
		sum ^= c
	}
	return sum
}

// format is a protocol with one frame of it and what the frame carries.
type format struct {
	name    string
	f       privtcp.Framing
	wire    []byte
	payload []byte
}

var (
	sevenEscapes = []privtcp.Escape{
		{From: []byte{0x7e}, To: []byte{0x7d, 0x02}},
		{From: []byte{0x7d}, To: []byte{0x7d, 0x01}},
	}
	jt808    = privtcp.Framing{Kind: privtcp.Marks, Start: []byte{0x7e}, End: []byte{0x7e}, Escapes: sevenEscapes, Checksum: privtcp.Checksum{Kind: privtcp.XOR}}
	modbus   = privtcp.Framing{Kind: privtcp.Length, Field: privtcp.LengthField{Offset: 4, Width: 2}, Max: 260}
	crlf     = privtcp.Framing{Kind: privtcp.Delimiter, Delimiter: []byte("\r\n"), Max: 1024}
	dleMarks = privtcp.Framing{Kind: privtcp.Marks, Start: []byte{0x10, 0x02}, End: []byte{0x10, 0x03},
		Escapes: []privtcp.Escape{{From: []byte{0x10}, To: []byte{0x10, 0x10}}}}
	stxEtx = privtcp.Framing{Kind: privtcp.Marks, Start: []byte{2}, End: []byte{3}, Escapes: []privtcp.Escape{
		{From: []byte{2}, To: []byte{0x10, 0x82}}, {From: []byte{3}, To: []byte{0x10, 0x83}}, {From: []byte{0x10}, To: []byte{0x10, 0x90}},
	}}
	slip = privtcp.Framing{Kind: privtcp.Marks, End: []byte{0xc0}, Escapes: []privtcp.Escape{
		{From: []byte{0xc0}, To: []byte{0xdb, 0xdc}}, {From: []byte{0xdb}, To: []byte{0xdb, 0xdd}},
	}}
	nmea = privtcp.Framing{Kind: privtcp.Marks, Start: []byte("$"), End: []byte("\r\n"), Max: 82,
		Checksum: privtcp.Checksum{Kind: privtcp.XOR, Hex: true, To: -3}}
	iec = privtcp.Framing{Kind: privtcp.Marks, Start: []byte{1}, End: []byte{3},
		Checksum: privtcp.Checksum{Kind: privtcp.XOR, AfterEnd: true}}
	gbt = privtcp.Framing{Kind: privtcp.Length, Start: []byte("##"), Field: privtcp.LengthField{Offset: 22, Width: 2, Adjust: 1},
		Checksum: privtcp.Checksum{Kind: privtcp.XOR, From: 2, Keep: true}}
	rtu  = privtcp.Framing{Kind: privtcp.Fixed, Length: 8, Checksum: privtcp.Checksum{Kind: privtcp.CRC16Modbus, LittleEndian: true}}
	aa55 = privtcp.Framing{Kind: privtcp.Length, Start: []byte{0xaa, 0x55}, Max: 64,
		Field:    privtcp.LengthField{Offset: 3, Width: 2, LittleEndian: true, Adjust: -5, Strip: 5, Header: []byte{0xaa, 0x55, 1}},
		Checksum: privtcp.Checksum{Kind: privtcp.CRC16CCITT, From: 2}}
)

func formats(tb testing.TB) []format {
	vehicle := append([]byte("##\x07\xfeLSVAM4187C2184847\x01"), 0, 0)
	vehicle = append(vehicle, xor(vehicle[2:]))
	gga := "GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*"
	x := func(text string) []byte { return fromHex(tb, text) }
	dlms := privtcp.Framing{Kind: privtcp.Marks, Start: []byte{0x7e}, End: []byte{0x7e}, Checksum: privtcp.Checksum{Kind: privtcp.CRC16X25, LittleEndian: true}}
	kept := crlf
	kept.KeepDelimiter = true
	jtEscapes := jt808
	jtEscapes.Checksum = privtcp.Checksum{}
	return []format{
		{"modbus tcp", modbus, x("0001 0000 0006 11 03 006b 0003"), x("0001 0000 0006 11 03 006b 0003")},
		{"modbus rtu", rtu, x("01 03 0000 000a c5cd"), x("01 03 0000 000a")},
		{"line", crlf, []byte("AT+CSQ\r\n"), []byte("AT+CSQ")},
		{"empty line", crlf, []byte("\r\n"), []byte{}},
		{"line kept", kept, []byte("a\rb\nc\r\r\n"), []byte("a\rb\nc\r\r\n")},
		{"nmea", nmea, []byte("$" + gga + "47\r\n"), []byte(gga)},
		{"dle stx", dleMarks, x("1002 41 1010 02 03 1010 1003"), x("41 10 02 03 10")},
		{"dle stx empty", dleMarks, x("1002 1003"), []byte{}},
		{"stx etx", stxEtx, x("02 1082 41 1083 1090 03"), x("02 41 03 10")},
		{"iec 62056-21", iec, x("01 50 30 02 28 29 03 60"), x("50 30 02 28 29")},
		{"fixed 16", privtcp.Framing{Kind: privtcp.Fixed, Length: 16}, x("000102030405060708090a0b0c0d0e0f"), x("000102030405060708090a0b0c0d0e0f")},
		{"fixed start", privtcp.Framing{Kind: privtcp.Fixed, Length: 4, Start: []byte{0x68}}, x("68 01 68 16"), x("68 01 68 16")},
		{"jt808 escapes", jtEscapes, x("7e 30 7d02 08 7d01 55 7e"), x("30 7e 08 7d 55")},
		{"jt808", jt808, x("7e 0002 0000 013912345678 0001 33 7e"), x("0002 0000 013912345678 0001")},
		{"jt808 escaped checksum", jt808, x("7e 03 7d01 7d02 7e"), x("03 7d")},
		{"gb/t 32960", gbt, vehicle, vehicle},
		{"dlms hdlc", dlms, x("7e a007032193 0f01 7e"), x("a007032193")},
		{"slip", slip, x("01 dbdc dbdd 02 c0"), x("01 c0 db 02")},
		{"length 8", privtcp.Framing{Kind: privtcp.Length, Field: privtcp.LengthField{Width: 8, LittleEndian: true, Strip: 8}}, x("0200000000000000 6869"), []byte("hi")},
		{"length 3 of all", privtcp.Framing{Kind: privtcp.Length, Field: privtcp.LengthField{Offset: 1, Width: 3, Adjust: -4}}, x("ff 000006 6869"), x("ff 000006 6869")},
		{"strip into the field", privtcp.Framing{Kind: privtcp.Length, Field: privtcp.LengthField{Offset: 1, Width: 2, Strip: 2, Header: []byte{9}}}, x("09 0001 ff"), x("01 ff")},
		{"checksum in front", privtcp.Framing{Kind: privtcp.Fixed, Length: 5, Checksum: privtcp.Checksum{Kind: privtcp.Sum16, At: 1, Keep: true}}, x("01 0105 05 ff"), x("01 0105 05 ff")},
		{"raw", privtcp.Framing{}, []byte("anything"), []byte("anything")},
	}
}

// Each frame is read and written, in a row with others and cut anywhere.
func TestFormats(t *testing.T) {
	for _, tt := range formats(t) {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, tt.f.Validate())
			wire, err := tt.f.Append([]byte("before"), tt.payload)
			require.NoError(t, err)
			require.Equal(t, "before"+string(tt.wire), string(wire))

			if tt.f.Kind == "" {
				require.Equal(t, []string{string(tt.payload)}, split(tt.f, tt.wire).events)
				return
			}
			stream := append(append(append([]byte(nil), tt.wire...), tt.wire...), tt.wire...)
			want := result{events: []string{string(tt.payload), string(tt.payload), string(tt.payload)}}
			requireAllChunkings(t, tt.f, stream, want)
		})
	}
}

// Of a frame that lacks its last bytes nothing comes out.
func TestTruncated(t *testing.T) {
	for _, tt := range formats(t) {
		for n := range tt.wire {
			if tt.f.Kind == "" {
				continue
			}
			got := split(tt.f, tt.wire[:n])
			require.Empty(t, got.events, "%s: %d", tt.name, n)
		}
	}
}

func TestSums(t *testing.T) {
	for kind, want := range map[privtcp.Sum]string{
		privtcp.XOR: "31", privtcp.Sum8: "dd", privtcp.LRC: "23", privtcp.Sum16: "01dd",
		privtcp.CRC16Modbus: "4b37", privtcp.CRC16CCITT: "29b1", privtcp.CRC16XModem: "31c3", privtcp.CRC16X25: "906e",
		privtcp.CRC16Kermit: "2189", privtcp.CRC32: "cbf43926", privtcp.CRC32C: "e3069283",
	} {
		digits := "123456789" // the check input of the catalogue
		f := privtcp.Framing{Kind: privtcp.Fixed, Length: 9 + len(want)/2, Checksum: privtcp.Checksum{Kind: kind}}
		wire, err := f.Append(nil, []byte(digits))
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(wire[9:]), kind)
		require.Equal(t, []string{digits}, split(f, wire).events)

		f.Checksum.LittleEndian = true
		turned, err := f.Append(nil, []byte(digits))
		require.NoError(t, err)
		for i := range len(want) / 2 {
			require.Equal(t, wire[9+i], turned[len(turned)-1-i], kind)
		}

		f.Length, f.Checksum.LittleEndian, f.Checksum.Hex = 9+len(want), false, true
		wire, err = f.Append(nil, []byte(digits))
		require.NoError(t, err)
		require.Equal(t, digits+strings.ToUpper(want), string(wire))
		require.Equal(t, []string{digits}, split(f, []byte(digits+want)).events, "either case is read")

		wire[len(wire)-1] = 'G'
		require.Equal(t, []string{"lost: wrong checksum"}, split(f, wire).events)
	}
}
