package privtcp_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/privtcp"
)

// result is all that a Splitter made of a stream: payloads and faults in order.
type result struct {
	events []string
	stats  privtcp.Stats
}

// split feeds chunks, each in memory of its own that is spoilt when it was used.
func split(f privtcp.Framing, chunks ...[]byte) (r result) {
	s := privtcp.NewSplitter(f)
	for _, chunk := range chunks {
		mine := bytes.Clone(chunk)
		s.Feed(mine)
		for {
			frame, err := s.Next()
			var fault *privtcp.Fault
			switch {
			case err == nil:
				r.events = append(r.events, string(frame))
				continue
			case errors.As(err, &fault) && fault.Lost:
				r.events = append(r.events, "lost: "+fault.Reason.Error())
				r.stats = s.Stats()
				return r
			case fault != nil:
				r.events = append(r.events, "dropped: "+fault.Reason.Error())
				continue
			case err != privtcp.ErrIncomplete:
				panic(err)
			}
			break
		}
		for i := range mine {
			mine[i] ^= 0xff
		}
	}
	r.stats = s.Stats()
	return r
}

// requireAllChunkings wants the same in one piece, byte by byte, and in three
// pieces cut at all pairs of places.
func requireAllChunkings(t *testing.T, f privtcp.Framing, stream []byte, want result) {
	t.Helper()
	require.Equal(t, want, split(f, stream), "in one piece")
	require.Equal(t, want, split(f, slices.Collect(slices.Chunk(stream, 1))...), "byte by byte")
	for i := range stream {
		for j := i; j <= len(stream); j++ {
			got := split(f, stream[:i], stream[i:j], stream[j:])
			if !slices.Equal(want.events, got.events) || want.stats != got.stats {
				require.Equal(t, want, got, "cut at %d and %d", i, j)
			}
		}
	}
}

const (
	tooLong = "dropped: frame exceeds max"
	wrong   = "dropped: wrong checksum"
	cut     = "dropped: start mark inside a frame"
	bare    = "dropped: byte inside a frame that must be escaped"
)

func bounded(f privtcp.Framing, most int) privtcp.Framing {
	f.Max = most
	return f
}

// Where the next frame can be found, a bad one costs itself only.
func TestResync(t *testing.T) {
	line := bounded(crlf, 6)
	line.Checksum = privtcp.Checksum{Kind: privtcp.XOR}
	x := func(text string) string { return string(fromHex(t, text)) }
	good, err := aa55.Append(nil, []byte("ok"))
	require.NoError(t, err)
	bad := bytes.Clone(good)
	bad[5] ^= 1
	tests := []struct {
		name   string
		f      privtcp.Framing
		stream string
		want   []string
		junk   uint64
	}{
		{"line in full", bounded(crlf, 6), "1234\r\n", []string{"1234"}, 0},
		{"line too long", bounded(crlf, 6), "12345\r\nab\r\n", []string{tooLong, "ab"}, 7},
		{"line far too long", bounded(crlf, 6), "123456789\r0\n\r\r\nab\r\n", []string{tooLong, "ab"}, 15},
		{"line checksum", line, "aba\x02\r\nab\x03\r\n\r\nab\x03\r\n", []string{wrong, "ab", wrong, "ab"}, 8},
		{"junk before start", dleMarks, x("55 10 55 1002 41 1003 10 1002 42 1003"), []string{"A", "B"}, 4},
		{"frame cut by the next", dleMarks, x("1002 4142 1002 43 1003"), []string{cut, "C"}, 4},
		{"doubled start", dleMarks, x("1002 1002 43 1003"), []string{"C"}, 2},
		{"bad escape", dleMarks, x("1002 41 10 42 1010 1003 1002 43 1003"), []string{bare, "C"}, 7},
		{"bad escape, then cut", stxEtx, x("02 41 10 42 02 43 03"), []string{bare, "C"}, 4},
		{"marks in full", bounded(stxEtx, 6), x("02 41 1083 42 03"), []string{"A\x03B"}, 0},
		{"marks too long", bounded(stxEtx, 6), x("02 41 1083 4243 03 02 44 03"), []string{tooLong, "D"}, 6},
		{"escape too long", bounded(stxEtx, 6), x("02 4142 43 1083 03 02 44 03"), []string{tooLong, "D"}, 6},
		{"end in time for junk", bounded(iec, 5), x("01 41 42 03 00 01 41 4243 03 42 01 44 03 47"), []string{"AB", tooLong, "D"}, 5},
		{"shared mark", jt808, x("7e 4141 00 7e 4242 00 7e 7e 7e 4343 00 7e"), []string{"AA", "BB", "CC"}, 0},
		{"shared mark, started in the middle", jt808, x("4141 00 7e 4242 00 7e"), []string{"BB"}, 3},
		{"shared mark lost", jt808, x("7e 4141 4242 00 7e 7e 4343 01 7e 7e 4343 00 7e"), []string{"AABB", wrong, "CC"}, 4},
		{"shared, bad escape", jt808, x("7e 4141 7d 03 00 7e 7e 4343 00 7e"), []string{bare, "CC"}, 6},
		{"slip with leading ends", slip, x("c0 41 c0 c0 42 c0"), []string{"A", "B"}, 0},
		{"nmea overrun", nmea, "xx$GP" + string(bytes.Repeat([]byte("9"), 90)) + "\r\n$*00\r\n", []string{tooLong, "*"}, 96},
		{"length, checksum", aa55, "\xaa" + string(bad) + string(good), []string{wrong, "ok"}, 10},
		{"length too long", aa55, x("aa55 01 ffff") + "\xaa" + string(good), []string{"dropped: frame exceeds max", "ok"}, 6},
		{"length too short, twice", aa55, x("aa55 01 0600 aa55 01 0100") + string(good), []string{"dropped: length field says less than the frame must have", "ok"}, 10},
		{"fixed", privtcp.Framing{Kind: privtcp.Fixed, Start: []byte("##"), Length: 4, Checksum: privtcp.Checksum{Kind: privtcp.XOR}}, "#1##a\x61#1##a\x60#x##bb", []string{"##a", wrong, "##b"}, 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, tt.f.Validate())
			want := split(tt.f, []byte(tt.stream))
			require.Equal(t, tt.want, want.events)
			require.Equal(t, tt.junk, want.stats.Junk)
			dropped := uint64(0)
			for _, e := range want.events {
				if strings.HasPrefix(e, "dropped: ") {
					dropped++
				}
			}
			require.Equal(t, dropped, want.stats.Dropped)
			requireAllChunkings(t, tt.f, []byte(tt.stream), want)
		})
	}
}

// Where it cannot, the stream is given up, and stays so.
func TestLost(t *testing.T) {
	lengthOf := func(l privtcp.LengthField) privtcp.Framing {
		return privtcp.Framing{Kind: privtcp.Length, Field: l, Max: 16}
	}
	tests := []struct {
		name   string
		f      privtcp.Framing
		stream string
		want   []string
	}{
		{"length in full", lengthOf(privtcp.LengthField{Width: 1}), "0f 000102030405060708090a0b0c0d0e", []string{"\x0f\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e"}},
		{"length above max", lengthOf(privtcp.LengthField{Width: 1}), "01 ff 10", []string{"\x01\xff", "lost: frame exceeds max"}},
		{"length of 2^64-1", lengthOf(privtcp.LengthField{Width: 8, Adjust: 1}), "ffffffffffffffff 00", []string{"lost: frame exceeds max"}},
		{"length of 2^63", lengthOf(privtcp.LengthField{Width: 8, Adjust: -9}), "8000000000000000 00", []string{"lost: frame exceeds max"}},
		{"shorter than its header", lengthOf(privtcp.LengthField{Width: 2, Adjust: -2}), "0001 00", []string{"lost: length field says less than the frame must have"}},
		{"shorter than strip", lengthOf(privtcp.LengthField{Width: 1, Strip: 3}), "02 0102 01 01", []string{"", "lost: length field says less than the frame must have"}},
		{"fixed, checksum", rtu, "01 03 0000 000a c5cd 01 03 0000 000a c5cc", []string{"\x01\x03\x00\x00\x00\x0a", "lost: wrong checksum"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, tt.f.Validate())
			stream := fromHex(t, tt.stream)
			requireAllChunkings(t, tt.f, stream, result{tt.want, split(tt.f, stream).stats})
			require.Equal(t, tt.want, split(tt.f, stream).events)
		})
	}
	s := privtcp.NewSplitter(rtu)
	s.Feed(make([]byte, 64))
	_, err := s.Next()
	require.ErrorIs(t, err, privtcp.ErrChecksum)
	require.EqualError(t, err, "stream out of step: wrong checksum")
	s.Feed(fromHex(t, "01 03 0000 000a c5cd"))
	_, again := s.Next()
	require.Equal(t, err, again, "a lost stream stays lost")
	require.Equal(t, privtcp.Stats{Dropped: 1}, s.Stats())
}

func TestRawIsCutAtMax(t *testing.T) {
	f := privtcp.Framing{Kind: privtcp.Raw, Max: 4}
	require.Equal(t, []string{"abcd", "ef", "g"}, split(f, []byte("abcdef"), nil, []byte("g")).events)
	_, err := f.Append(nil, []byte("12345"))
	require.ErrorIs(t, err, privtcp.ErrTooLong)
}

// Chunks may also be fed in a row, before the frames are asked for.
func TestFeedTwice(t *testing.T) {
	s := privtcp.NewSplitter(crlf)
	s.Feed([]byte("a\r"))
	s.Feed([]byte("\nb\r\nc"))
	for _, want := range []string{"a", "b"} {
		frame, err := s.Next()
		require.NoError(t, err)
		require.Equal(t, want, string(frame))
	}
	_, err := s.Next()
	require.Equal(t, privtcp.ErrIncomplete, err)
	require.Equal(t, 1, s.Buffered())
}
