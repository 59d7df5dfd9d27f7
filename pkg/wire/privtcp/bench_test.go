package privtcp_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/privtcp"
)

// budgets are the kinds with a payload of about a hundred bytes, escapes included.
func budgets(tb testing.TB) []format {
	body := bytes.Repeat([]byte("0123456789abcde\x7e"), 6)
	cases := []format{
		{name: "raw", f: privtcp.Framing{}, payload: body},
		{name: "fixed", f: privtcp.Framing{Kind: privtcp.Fixed, Length: len(body)}, payload: body},
		{name: "delimiter", f: crlf, payload: body},
		{name: "length", f: privtcp.Framing{Kind: privtcp.Length, Field: privtcp.LengthField{Width: 2, Strip: 2}}, payload: body},
		{name: "length-crc16", f: privtcp.Framing{Kind: privtcp.Length, Field: privtcp.LengthField{Width: 2, Strip: 2, Adjust: 2}, Checksum: privtcp.Checksum{Kind: privtcp.CRC16Modbus}}, payload: body},
		{name: "marks-xor", f: jt808, payload: body},
	}
	for i := range cases {
		var err error
		cases[i].wire, err = cases[i].f.Append(nil, cases[i].payload)
		require.NoError(tb, err)
	}
	return cases
}

// drain reads all frames and tells how many there were.
func drain(tb testing.TB, s *privtcp.Splitter) (n int) {
	for {
		if _, err := s.Next(); err == privtcp.ErrIncomplete {
			return n
		} else if err != nil {
			tb.Fatal(err)
		}
		n++
	}
}

// As a connection reads: 32 frames at a time, of which the last is cut.
func BenchmarkSplit(b *testing.B) {
	for _, tt := range budgets(b) {
		b.Run(tt.name, func(b *testing.B) {
			stream := bytes.Repeat(tt.wire, 32)
			first, second := make([]byte, len(stream)-10), make([]byte, 10)
			s := privtcp.NewSplitter(tt.f)
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			for b.Loop() {
				copy(second, stream[copy(first, stream):])
				s.Feed(first)
				drain(b, s)
				s.Feed(second)
				drain(b, s)
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	buf := make([]byte, 0, 1024)
	for _, tt := range budgets(b) {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tt.f.Append(buf, tt.payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Frames cost no memory: neither whole ones, nor cut ones, nor written ones.
func TestAllocationBudget(t *testing.T) {
	buf := make([]byte, 0, 1024)
	tmpl, err := privtcp.ParseTemplate(`\x80${frame[0:2]}${clientid}${len}${frame[0]|hex}`)
	require.NoError(t, err)
	heartbeat, err := privtcp.NewMatch(privtcp.MatchSpec{Prefix: []byte("\x00\x02")})
	require.NoError(t, err)
	for _, tt := range budgets(t) {
		stream := bytes.Repeat(tt.wire, 3)
		chunk := make([]byte, len(stream))
		s := privtcp.NewSplitter(tt.f)
		frames := 0
		require.Zero(t, testing.AllocsPerRun(200, func() {
			copy(chunk, stream)
			s.Feed(chunk[:len(tt.wire)+30])
			frames += drain(t, s)
			s.Feed(chunk[len(tt.wire)+30:])
			frames += drain(t, s)
		}), tt.name)
		require.GreaterOrEqual(t, frames, 201*2, tt.name)

		require.Zero(t, testing.AllocsPerRun(200, func() {
			out, err := tt.f.Append(buf, tt.payload)
			if err != nil || len(out) != len(tt.wire) {
				t.Fatal(err)
			}
			if _, err = tmpl.Append(buf, tt.payload, privtcp.Vars{ClientID: "dev-7"}); err != nil {
				t.Fatal(err)
			}
			if heartbeat.Matches(tt.payload) {
				t.Fatal("no heartbeat")
			}
		}), tt.name)
	}
}

// An endless frame costs Max and one chunk, whatever the kind; a length field is
// not taken at its word; and bytes that come one by one are not read many times.
func TestEndlessInputCostsLittle(t *testing.T) {
	const most = 1 << 20
	for _, tt := range []format{
		{name: "delimiter", f: crlf, payload: []byte("xxxxxxxx")},
		{name: "marks", f: stxEtx, wire: []byte{2}, payload: []byte("x\x10\x83x")},
		{name: "junk before a mark", f: stxEtx, payload: []byte("x\x10\x83x")},
		{name: "junk before a length", f: aa55, payload: []byte("\xaaxxx")},
		{name: "length", f: privtcp.Framing{Kind: privtcp.Length, Field: privtcp.LengthField{Width: 4}}, wire: []byte{0, 0x0f, 0, 0}, payload: []byte("xxxx")},
	} {
		tt.f.Max = most
		s := privtcp.NewSplitter(tt.f)
		s.Feed(bytes.Clone(tt.wire))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		chunk := make([]byte, len(tt.payload))
		for range 3 * most / 4 / len(chunk) {
			copy(chunk, tt.payload)
			s.Feed(chunk)
			_, err := s.Next()
			if err != privtcp.ErrIncomplete {
				t.Fatal(tt.name, err)
			}
		}
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(3*most), tt.name)
		require.LessOrEqual(t, s.Buffered(), most)
	}
}
