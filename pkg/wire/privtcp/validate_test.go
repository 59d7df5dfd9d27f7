package privtcp_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/privtcp"
)

type change func(f *privtcp.Framing)

// Each error names its key.
func TestValidate(t *testing.T) {
	b := func(text string) []byte { return []byte(text) }
	esc := func(from, to string) privtcp.Escape { return privtcp.Escape{From: b(from), To: b(to)} }
	tests := []struct {
		f    privtcp.Framing
		do   change
		want string
	}{
		{crlf, func(f *privtcp.Framing) { f.Kind = "lines" }, `kind: "lines" is none of raw, fixed, delimiter, length, marks`},
		{crlf, func(f *privtcp.Framing) { f.Max = -1 }, "max: must be from 0 to 268435456"},
		{crlf, func(f *privtcp.Framing) { f.Max = 2 }, "delimiter: must be shorter than max, which is 2"},
		{crlf, func(f *privtcp.Framing) { f.Delimiter = nil }, "delimiter: must not be empty"},
		{crlf, func(f *privtcp.Framing) { f.Length = 1 }, "length: means nothing to kind delimiter"},
		{crlf, func(f *privtcp.Framing) { f.Start = b("#") }, "start: means nothing to kind delimiter"},
		{crlf, func(f *privtcp.Framing) { f.Field.LittleEndian = true }, "field: means nothing to kind delimiter"},
		{crlf, func(f *privtcp.Framing) { f.KeepDelimiter, f.Checksum.Kind = true, privtcp.XOR }, "checksum.keep: must be set with keep_delimiter"},
		{privtcp.Framing{}, func(f *privtcp.Framing) { f.Checksum.Kind = privtcp.XOR }, "checksum: means nothing to kind raw"},
		{privtcp.Framing{}, func(f *privtcp.Framing) { f.Delimiter = b("\n") }, "delimiter: means nothing to kind raw"},
		{rtu, func(f *privtcp.Framing) { f.Length = 0 }, "length: must be from 1 to max, which is 65535"},
		{rtu, func(f *privtcp.Framing) { f.Length = 1 }, "checksum: longer than length"},
		{rtu, func(f *privtcp.Framing) { f.Start = make([]byte, 9) }, "start: longer than length"},
		{rtu, func(f *privtcp.Framing) { f.Checksum.To = 9 }, "checksum: from, to or at lies outside of length"},
		{rtu, func(f *privtcp.Framing) { f.Checksum.Kind = "crc" }, `checksum.kind: "crc" is not known`},
		{rtu, func(f *privtcp.Framing) { f.Checksum.Kind = "" }, "checksum.kind: must be set with other keys of checksum"},
		{rtu, func(f *privtcp.Framing) { f.Checksum.At = 2 }, "checksum.keep: must be set where the checksum is not last"},
		{rtu, func(f *privtcp.Framing) { f.Checksum.At = -1 }, "checksum.at: -1 leaves no room for 2 bytes"},
		{rtu, func(f *privtcp.Framing) { f.Checksum.From, f.Checksum.To = 4, 4 }, "checksum.to: must lie behind checksum.from"},
		{rtu, func(f *privtcp.Framing) { f.Checksum.From = 1 << 40 }, "checksum.from: must be from -268435456 to 268435456"},
		{rtu, func(f *privtcp.Framing) { f.Checksum.AfterEnd = true }, "checksum.after_end: needs kind marks, and a start that is not the end"},
		{jt808, func(f *privtcp.Framing) { f.Checksum.AfterEnd = true }, "checksum.after_end: needs kind marks, and a start that is not the end"},
		{iec, func(f *privtcp.Framing) { f.Checksum.Keep = true }, "checksum.after_end: the checksum is last and not kept"},
		{modbus, func(f *privtcp.Framing) { f.Field.Width = 5 }, "field.width: must be 1, 2, 3, 4 or 8"},
		{modbus, func(f *privtcp.Framing) { f.Field.Offset = 259 }, "field.offset: the field must lie within max, which is 260"},
		{modbus, func(f *privtcp.Framing) { f.Field.Offset = 1<<63 - 1 }, "field.offset: the field must lie within max, which is 260"},
		{modbus, func(f *privtcp.Framing) { f.Field.Adjust = -1 << 40 }, "field.adjust: must be from -268435456 to 268435456"},
		{modbus, func(f *privtcp.Framing) { f.Field.Strip = 261 }, "field.strip: must be from 0 to max, which is 260"},
		{modbus, func(f *privtcp.Framing) { f.Field.Header = b("x") }, "field.header: longer than field.strip"},
		{aa55, func(f *privtcp.Framing) { f.Field.Header = b("xyz") }, "field.header: must begin with start"},
		{aa55, func(f *privtcp.Framing) { f.Start = b("12345") }, "start: must end before the length field"},
		{stxEtx, func(f *privtcp.Framing) { f.End = nil }, "end: must not be empty"},
		{stxEtx, func(f *privtcp.Framing) { f.Max = 2 }, "max: 2 leaves no room between the marks"},
		{dleMarks, func(f *privtcp.Framing) { f.End = b("\x10\x02\x03") }, "end: begins as start does, or the other way round"},
		{dleMarks, func(f *privtcp.Framing) { f.Escapes = []privtcp.Escape{esc("", "x")} }, "escapes[0].from: must not be empty"},
		{dleMarks, func(f *privtcp.Framing) { f.Escapes = []privtcp.Escape{esc("xy", "x")} }, "escapes[0].to: must not be shorter than from"},
		{dleMarks, func(f *privtcp.Framing) { f.Escapes = []privtcp.Escape{esc("\x10", "\x10\x03")} }, "escapes[0].to: begins as end does, or the other way round"},
		{dleMarks, func(f *privtcp.Framing) { f.Escapes = []privtcp.Escape{esc("\x10", "\x10\x02")} }, "escapes[0].to: begins as start does, or the other way round"},
		{stxEtx, func(f *privtcp.Framing) { f.Escapes = []privtcp.Escape{esc("a", "xy"), esc("b", "x")} }, "escapes[1].to: begins as another escape does, or the other way round"},
		{stxEtx, func(f *privtcp.Framing) { f.Escapes = []privtcp.Escape{esc("a", "xy"), esc("ab", "zz")} }, "escapes[1].from: begins as another escape does, or the other way round"},
	}
	for _, tt := range tests {
		require.NoError(t, tt.f.Validate(), "before the change for %s", tt.want)
		tt.do(&tt.f)
		require.EqualError(t, tt.f.Validate(), tt.want)
		_, err := privtcp.NewSplitter(tt.f).Next()
		require.EqualError(t, err, tt.want, "a Splitter says so too")
	}
}
