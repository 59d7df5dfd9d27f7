package jt808

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func phone(t testing.TB, s string, versioned bool) Phone {
	t.Helper()
	p, err := ParsePhone(s, versioned)
	require.NoError(t, err)
	return p
}

func TestPhone(t *testing.T) {
	p := phone(t, "13912344323", false)
	require.Equal(t, "013912344323", p.String())
	require.Equal(t, "13912344323", p.Key())
	long := phone(t, "13912344323", true)
	require.Equal(t, "00000000013912344323", long.String())
	require.Equal(t, p.Key(), long.Key(), "the same terminal in another edition")
	require.Equal(t, "0", phone(t, "", false).Key())
	for _, bad := range []string{"1234567890123", "12g", "-1", "١"} {
		_, err := ParsePhone(bad, false)
		require.ErrorIs(t, err, ErrPhone, bad)
	}
	f := Frame{Header: Header{ID: 2, Phone: long}} // answered in the other form
	wire, err := Append(nil, f)
	require.NoError(t, err)
	all, _ := split(wire, 0)
	require.Equal(t, p, all[0].frame.Phone)
}

func TestParseRefuses(t *testing.T) {
	good, err := AppendContent(nil, Frame{Header: Header{ID: 0x0200, Phone: phone(t, "1", false), Serial: 9}, Body: []byte("body")})
	require.NoError(t, err)
	for n := range len(good) {
		_, err := Parse(good[:n])
		require.Error(t, err, n)
	}
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[len(b)-1] ^= b[at] ^ to // the check stays right
		b[at] = to
		return b
	}
	var fe *FrameError
	_, err = Parse(change(3, 5))
	require.ErrorIs(t, err, ErrLength)
	require.True(t, errors.As(err, &fe))
	require.EqualValues(t, 9, fe.Header.Serial)
	wrong := bytes.Clone(good)
	wrong[len(wrong)-1]++
	_, err = Parse(wrong)
	require.ErrorIs(t, err, ErrCheck)
	require.True(t, errors.As(err, &fe))

	packet := Frame{Header: Header{ID: 0x0801, Serial: 3, Total: 2, Index: 3}}
	b, err := AppendContent(nil, packet)
	require.NoError(t, err)
	_, err = Parse(b)
	require.ErrorIs(t, err, ErrPacket)
	require.True(t, errors.As(err, &fe))
	_, err = Append(nil, Frame{Body: make([]byte, MaxBody+1)})
	require.ErrorIs(t, err, ErrTooLong)
}

func TestSplitterBoundsItsMemory(t *testing.T) {
	s := NewSplitter(100)
	s.Feed(bytes.Repeat([]byte{1}, 10_000)) // no flag yet
	_, _, ok := s.Next()
	require.False(t, ok)
	require.EqualValues(t, 10_000, s.Junk)
	require.Zero(t, s.Buffered())
	s.Feed(append([]byte{flag}, bytes.Repeat([]byte{escape, escapedFlag}, 10_000)...))
	_, _, ok = s.Next()
	require.False(t, ok)
	require.LessOrEqual(t, cap(s.buf), 128)
	s.Feed([]byte{flag, 5, flag, escape, 9, 7, flag, escape, flag, 6, flag})
	_, err, ok := s.Next()
	require.True(t, ok)
	require.ErrorIs(t, err, ErrTooLong)
	content, err, ok := s.Next()
	require.True(t, ok)
	require.NoError(t, err)
	require.Equal(t, []byte{5}, content)
	for range 2 {
		_, err, ok = s.Next()
		require.True(t, ok)
		require.ErrorIs(t, err, ErrEscape)
	}
	content, _, ok = s.Next()
	require.True(t, ok)
	require.Equal(t, []byte{6}, content)
}

// TestPacketsComeTogether cuts messages and puts them together, in any order,
// with some packets twice.
func TestPacketsComeTogether(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, MaxBody, MaxBody + 1, 3 * MaxBody, 100_000} {
		body := make([]byte, size)
		for i := range body {
			body[i] = byte(rnd.Uint32())
		}
		h := Header{ID: 0x8108, Serial: 0xFFFE, Phone: phone(t, "7", true), Versioned: true}
		all, err := Packets(h, body)
		require.NoError(t, err)
		if size <= MaxBody {
			require.Len(t, all, 1)
			require.False(t, all[0].Sub())
			continue
		}
		a := Assembler{Bytes: 1 << 20, Open: 1, Keep: time.Minute}
		g := Gaps{Wait: time.Second, Rounds: 1, Open: 1}
		twice := append(slices.Clone(all), all[0], all[len(all)-1])
		rnd.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
		wholes, complete := 0, 0
		for _, f := range twice {
			wire, err := Append(nil, f)
			require.NoError(t, err)
			read, _ := split(wire, 0)
			require.Equal(t, []piece{{frame: f}}, read)
			if g.Add(f.Header, time.Time{}) {
				complete++
			}
			if w, done, _ := a.Add(f, 0, time.Time{}); done {
				wholes++
				require.Equal(t, body, w.Body)
				require.EqualValues(t, 0xFFFE, w.Serial)
			}
		}
		require.Equal(t, 1, wholes)
		require.Equal(t, 1, complete)
		require.Zero(t, a.bytes)
		require.True(t, g.Next().IsZero())
	}
	_, err := Packets(Header{}, make([]byte, 0x10000*MaxBody))
	require.ErrorIs(t, err, ErrTooLong)
}

func TestGapsAskAndGiveUp(t *testing.T) {
	now := time.Unix(100, 0)
	g := Gaps{Wait: time.Second, Rounds: 2, Open: 2}
	packet := func(serial, total, index uint16) Header {
		return Header{ID: 0x0801, Serial: serial, Total: total, Index: index}
	}
	require.False(t, g.Add(packet(10, 600, 1), now))
	require.Equal(t, now.Add(time.Second), g.Next())
	for round := range 3 {
		now = now.Add(time.Second)
		due := g.Due(now)
		require.Len(t, due, 1)
		require.EqualValues(t, 10, due[0].First)
		require.Len(t, due[0].Indexes, maxMissing)
		require.EqualValues(t, 2, due[0].Indexes[0])
		require.Equal(t, round == 2, due[0].GivenUp)
	}
	require.True(t, g.Next().IsZero())
	g.Add(packet(1, 3, 1), now)
	g.Add(packet(2, 2, 2), now) // begins again, with another number of packets
	require.Len(t, g.open, 1)
	for first := range uint16(5) { // memory is bounded
		g.Add(packet(100*first, 9, 1), now)
	}
	require.Len(t, g.open, 2)
}

func TestAssemblerGivesUp(t *testing.T) {
	now := time.Unix(100, 0)
	a := Assembler{Bytes: 2000, Open: 2, Keep: time.Minute}
	packet := func(serial, total, index uint16, size int) Frame {
		return Frame{Header{ID: 0x0801, Serial: serial, Total: total, Index: index}, make([]byte, size)}
	}
	a.Add(packet(11, 3, 2, 10), 7, now)
	a.Add(packet(10, 3, 1, 10), 9, now)
	oldest, ok := a.Oldest()
	require.True(t, ok)
	require.EqualValues(t, 7, oldest)
	_, _, given := a.Add(packet(10, 4, 1, 10), 12, now) // another number of packets
	require.Equal(t, []Partial{{ID: 0x0801, First: 10, Total: 3, Tags: []uint64{9, 7}}}, given)
	_, _, given = a.Add(packet(50, 4, 1, 1000), 13, now)
	require.Empty(t, given)
	_, _, given = a.Add(packet(51, 4, 2, 1000), 14, now) // too many bytes: the oldest goes
	require.Equal(t, []uint64{12}, given[0].Tags)
	require.Empty(t, a.Expired(now.Add(time.Minute-1)))
	given = a.Expired(now.Add(time.Minute))
	require.Equal(t, []uint64{13, 14}, given[0].Tags)
	require.Zero(t, a.bytes)
	_, ok = a.Oldest()
	require.False(t, ok)
}

// FuzzSplitter: the frames of a stream do not depend on how it is cut, and what
// was read is written as the same frame.
func FuzzSplitter(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.bytes(f), uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, chunk uint8) {
		whole, _ := split(stream, 0)
		cut, s := split(stream, int(chunk))
		require.Len(t, cut, len(whole))
		require.LessOrEqual(t, s.Buffered(), MaxContent)
		for i, w := range whole {
			require.Equal(t, w, cut[i])
			if w.err != nil {
				continue
			}
			wire, err := Append(nil, w.frame)
			require.NoError(t, err)
			again, _ := split(wire, 0)
			require.Equal(t, []piece{{frame: w.frame}}, again)
		}
	})
}

func BenchmarkFrame(b *testing.B) {
	wire, err := Append(nil, Frame{Header: Header{ID: 0x0200, Phone: phone(b, "13912344323", false)}, Body: make([]byte, 48)})
	require.NoError(b, err)
	s := NewSplitter(0)
	out := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		s.Feed(wire)
		content, _, ok := s.Next()
		if !ok {
			b.Fatal("no frame")
		}
		f, err := Parse(content)
		if err != nil {
			b.Fatal(err)
		}
		if out, err = Append(out[:0], f); err != nil {
			b.Fatal(err)
		}
	}
}
