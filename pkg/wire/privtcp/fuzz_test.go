package privtcp_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/privtcp"
)

// fuzzed are the formats with a small Max, which so is met often, and some that no
// protocol should have.
func fuzzed(tb testing.TB) (all []privtcp.Framing) {
	for _, tt := range formats(tb) {
		if tt.f.Kind == "" {
			continue
		}
		f := tt.f
		f.Max = max(12, f.Length, f.Field.Offset+f.Field.Width+8)
		all = append(all, f)
	}
	b := func(text string) []byte { return []byte(text) }
	all = append(all,
		privtcp.Framing{Kind: privtcp.Delimiter, Delimiter: b("aab"), Max: 9},
		privtcp.Framing{Kind: privtcp.Delimiter, Delimiter: b("aa"), Max: 9, KeepDelimiter: true},
		privtcp.Framing{Kind: privtcp.Marks, Start: b("aa"), End: b("aab"), Max: 12},
		privtcp.Framing{Kind: privtcp.Marks, Start: b("ab"), End: b("ac"), Max: 12, Escapes: []privtcp.Escape{
			{From: b("ab"), To: b("adb")}, {From: b("ac"), To: b("adc")}, {From: b("ad"), To: b("add")},
		}},
		privtcp.Framing{Kind: privtcp.Marks, Start: b("a"), End: b("b"), Max: 12, Escapes: []privtcp.Escape{{From: b("a"), To: b("c")}}},
		privtcp.Framing{Kind: privtcp.Marks, Start: b("a"), End: b("b"), Max: 12, Checksum: privtcp.Checksum{Kind: privtcp.Sum16, AfterEnd: true, From: 1, To: -2}},
		privtcp.Framing{Kind: privtcp.Length, Start: b("aa"), Field: privtcp.LengthField{Offset: 2, Width: 1}, Max: 120, Checksum: privtcp.Checksum{Kind: privtcp.XOR, Hex: true}},
	)
	for _, f := range all {
		require.NoError(tb, f.Validate())
	}
	return all
}

// FuzzSplit: nothing makes it panic, frames, faults and counts do not depend on
// the chunks, no payload is longer than Max, and memory is bounded.
func FuzzSplit(f *testing.F) {
	all := fuzzed(f)
	for i, tt := range formats(f) {
		f.Add(uint8(i), uint64(0x1234567), slices.Concat(tt.wire, tt.wire, []byte("x"), tt.wire))
	}
	f.Add(uint8(len(all)-1), uint64(1), []byte("aaaaaaaa\x02aab"))
	f.Fuzz(func(t *testing.T, which uint8, cuts uint64, stream []byte) {
		framing := all[int(which)%len(all)]
		want := split(framing, stream)
		require.Equal(t, want, split(framing, slices.Collect(slices.Chunk(stream, 1))...))
		require.Equal(t, want, split(framing, chunks(stream, cuts)...))

		s := privtcp.NewSplitter(framing)
		for _, chunk := range chunks(stream, cuts) {
			s.Feed(slices.Clone(chunk))
			for {
				frame, err := s.Next()
				if err == privtcp.ErrIncomplete {
					break
				}
				var fault *privtcp.Fault
				if errors.As(err, &fault) && fault.Lost {
					return
				}
				require.LessOrEqual(t, len(frame), framing.Max)
			}
			require.LessOrEqual(t, s.Buffered(), framing.Max)
		}
	})
}

// chunks cuts a stream in pieces of 0 to 15 bytes.
func chunks(stream []byte, cuts uint64) (all [][]byte) {
	for len(stream) > 0 {
		n := min(int(cuts&15), len(stream))
		all = append(all, stream[:n])
		stream = stream[n:]
		cuts = cuts>>4 | cuts<<60
		if cuts == 0 {
			cuts = 3
		}
	}
	return all
}

// FuzzRoundTrip: what Append writes is read as what it was given, and what it
// refuses is refused for a reason; what a Splitter reads, Append can write.
func FuzzRoundTrip(f *testing.F) {
	all := fuzzed(f)
	for i, tt := range formats(f) {
		f.Add(uint8(i), tt.payload)
	}
	for i := range all {
		f.Add(uint8(i), []byte("aabacad"))
	}
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		framing := all[int(which)%len(all)]
		wire, err := framing.Append(nil, payload)
		if err != nil {
			require.True(t, errors.Is(err, privtcp.ErrNotEncodable) || errors.Is(err, privtcp.ErrTooLong), "%v", err)
			return
		}
		// Behind another frame and before one, which a wrong end would show in.
		got := split(framing, slices.Concat(wire, wire, wire))
		require.Zero(t, got.stats)
		require.Len(t, got.events, 3)
		for _, read := range got.events {
			require.Equal(t, got.events[0], read)
		}
		if !filledIn(framing) {
			require.Equal(t, string(payload), got.events[0])
		}
		again, err := framing.Append(nil, []byte(got.events[0]))
		require.NoError(t, err)
		require.Equal(t, wire, again)
	})
}

// filledIn tells whether Append writes into payloads.
func filledIn(f privtcp.Framing) bool {
	return f.KeepDelimiter || f.Checksum.Keep || f.Kind == privtcp.Length && f.Field.Strip < f.Field.Offset+f.Field.Width
}
