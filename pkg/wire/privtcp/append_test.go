package privtcp_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/privtcp"
)

// What the framing cannot carry is refused, and dst is left alone.
func TestAppendRefuses(t *testing.T) {
	summed := crlf
	summed.Checksum = privtcp.Checksum{Kind: privtcp.XOR}
	overlapping := privtcp.Framing{Kind: privtcp.Delimiter, Delimiter: []byte("aa")}
	inFront := privtcp.Framing{Kind: privtcp.Fixed, Length: 4, Start: []byte("##")}
	halfEscaped := dleMarks
	halfEscaped.Escapes = []privtcp.Escape{{From: []byte{0x10}, To: []byte{0x11, 0x01}}}
	small := privtcp.Framing{Kind: privtcp.Length, Field: privtcp.LengthField{Width: 1, Strip: 1}}
	tests := []struct {
		name    string
		f       privtcp.Framing
		payload string
		err     error
	}{
		{"nothing to send", privtcp.Framing{}, "", privtcp.ErrNotEncodable},
		{"short for fixed", rtu, "12345", privtcp.ErrNotEncodable},
		{"long for fixed", rtu, "1234567", privtcp.ErrNotEncodable},
		{"without its start", inFront, "#abc", privtcp.ErrNotEncodable},
		{"delimiter inside", crlf, "a\r\nb", privtcp.ErrNotEncodable},
		{"delimiter at the end", crlf, "a\r\n", privtcp.ErrNotEncodable},
		{"delimiter too early", overlapping, "xa", privtcp.ErrNotEncodable},
		{"checksum makes a delimiter", summed, "\x09\r\x0e\r\n", privtcp.ErrNotEncodable},
		{"delimiter beyond max", bounded(crlf, 4), "abc", privtcp.ErrTooLong},
		{"no room for the field", modbus, "12345", privtcp.ErrNotEncodable},
		{"length beyond max", bounded(modbus, 8), "123456789", privtcp.ErrTooLong},
		{"length beyond its field", small, string(make([]byte, 256)), privtcp.ErrNotEncodable},
		{"end mark, no escapes", nmea, "GP\r\nGP*", privtcp.ErrNotEncodable},
		{"empty between shared marks", slip, "", privtcp.ErrNotEncodable},
		{"escape that is not escaped", halfEscaped, "a\x11\x01", privtcp.ErrNotEncodable},
		{"end mark by escape", halfEscaped, "a\x10\x10\x03", nil},
		{"end mark before end", dleMarks, "\x10\x03", nil},
		{"checksum out of reach", iecFrom(9), "abc", privtcp.ErrNotEncodable},
		{"escapes beyond max", bounded(stxEtx, 6), "\x02\x03\x10", privtcp.ErrTooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, tt.f.Validate())
			out, err := tt.f.Append([]byte("kept"), []byte(tt.payload))
			require.ErrorIs(t, err, tt.err)
			if tt.err == nil {
				require.Equal(t, []string{tt.payload}, split(tt.f, out[len("kept"):]).events)
				return
			}
			require.Equal(t, "kept", string(out))
		})
	}
}

func iecFrom(from int) privtcp.Framing {
	f := iec
	f.Checksum.From = from
	return f
}

// Room in the payload is filled in, whatever stood there.
func TestAppendFillsIn(t *testing.T) {
	for _, tt := range formats(t) {
		payload := bytes.Clone(tt.payload)
		switch tt.name {
		case "modbus tcp":
			payload[4], payload[5] = 0xff, 0xff
		case "gb/t 32960":
			payload[22], payload[23], payload[24] = 0xff, 0xff, 0xff
		case "checksum in front":
			payload[1], payload[2] = 0xff, 0xff
		case "line kept":
			payload = bytes.TrimSuffix(payload, []byte("\r\n"))
		default:
			continue
		}
		wire, err := tt.f.Append(nil, payload)
		require.NoError(t, err, tt.name)
		require.Equal(t, tt.wire, wire, tt.name)
	}
}
