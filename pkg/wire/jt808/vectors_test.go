package jt808

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type vectorHeader struct {
	ID         string `json:"msg_id"`
	Length     int    `json:"body_len"`
	Encrypt    uint8  `json:"encrypt"`
	Sub        bool   `json:"subpackaged"`
	Versioned  int    `json:"version_flag"`
	Version    *uint8 `json:"proto_ver"`
	Phone      string `json:"phone"`
	Serial     uint16 `json:"msg_sn"`
	Total      uint16 `json:"total"`
	Index      uint16 `json:"index"`
	Check      string `json:"check"`
	PacketSum  uint16 `json:"pkg_total"`
	PacketItem uint16 `json:"pkg_index"`
}

type vectorFrame struct {
	Hex    string        `json:"hex"`
	Header *vectorHeader `json:"header"`
	Error  string        `json:"error"`
}

type vector struct {
	Name    string `json:"name"`
	Hex     string `json:"hex"`
	Expect  string `json:"expect"`
	Layer   string `json:"error_layer"`
	Decoded struct {
		Header  *vectorHeader   `json:"header"`
		Body    json.RawMessage `json:"body"`
		BodyHex string          `json:"body_hex"`
		Error   string          `json:"error"`
		Frames  json.RawMessage `json:"frames"`
		FirstSN uint16          `json:"first_sn"`
		Total   uint16          `json:"total"`
		BodyLen int             `json:"body_len"`
		Ask     *struct {
			First   uint16   `json:"first_sn"`
			Indexes []uint16 `json:"indexes"`
		} `json:"ask_8003"`
	} `json:"decoded"`
}

func vectors(t testing.TB) (all []vector) {
	t.Helper()
	f, err := os.Open("testdata/jt808.jsonl")
	require.NoError(t, err)
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 4<<20)
	for in.Scan() {
		var v vector
		require.NoError(t, json.Unmarshal(in.Bytes(), &v))
		all = append(all, v)
	}
	require.NoError(t, in.Err())
	require.Len(t, all, 426)
	return all
}

func (v vector) bytes(t testing.TB) []byte { return unhex(t, v.Hex) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// piece is what came out of a stream: a frame, or why there is none.
type piece struct {
	frame Frame
	err   error
}

// split reads a stream in chunks of n bytes, 0 for all at once.
func split(stream []byte, n int) (all []piece, s *Splitter) {
	s = NewSplitter(0)
	if n == 0 {
		n = max(len(stream), 1)
	}
	for len(stream) > 0 {
		n := min(n, len(stream))
		s.Feed(append([]byte(nil), stream[:n]...))
		stream = stream[n:]
		for {
			content, err, ok := s.Next()
			if !ok {
				break
			}
			f := Frame{}
			if err == nil {
				f, err = Parse(append([]byte(nil), content...))
			}
			all = append(all, piece{f, err})
		}
	}
	return all, s
}

// single is the only frame of a stream, or why there is none.
func single(t testing.TB, v vector, chunk int) (Frame, error) {
	t.Helper()
	all, _ := split(v.bytes(t), chunk)
	for _, i := range all {
		if i.err != nil {
			return i.frame, i.err
		}
	}
	if len(all) == 0 {
		return Frame{}, ErrShort
	}
	require.Len(t, all, 1, v.Name)
	return all[0].frame, nil
}

func requireHeader(t *testing.T, want *vectorHeader, got Header, name string) {
	t.Helper()
	id, err := strconv.ParseUint(want.ID[2:], 16, 16)
	require.NoError(t, err)
	require.Equal(t, uint16(id), got.ID, name)
	require.Equal(t, want.Length, got.Length, name)
	require.Equal(t, want.Encrypt, got.Encrypt, name)
	require.Equal(t, want.Sub, got.Sub(), name)
	require.Equal(t, want.Versioned == 1, got.Versioned, name)
	if want.Version != nil {
		require.Equal(t, *want.Version, got.Version, name)
	}
	require.Equal(t, want.Phone, got.Phone.String(), name)
	require.Equal(t, want.Serial, got.Serial, name)
	if want.Sub {
		require.Equal(t, max(want.Total, want.PacketSum), got.Total, name)
		require.Equal(t, max(want.Index, want.PacketItem), got.Index, name)
	}
}

func TestVectorFrames(t *testing.T) {
	for _, v := range vectors(t) {
		for _, chunk := range []int{0, 1, 3} {
			switch {
			case v.Expect == "ok" || v.Expect == "error" && v.Layer == "body":
				f, err := single(t, v, chunk)
				require.NoError(t, err, v.Name)
				if v.Decoded.Header == nil {
					continue
				}
				requireHeader(t, v.Decoded.Header, f.Header, v.Name)
				wire, err := Append(nil, f)
				require.NoError(t, err, v.Name)
				again, _ := split(wire, 0)
				require.Equal(t, []piece{{frame: f}}, again, v.Name)
				require.Equal(t, v.Hex, hex.EncodeToString(wire), v.Name)
			case v.Expect == "error":
				_, err := single(t, v, chunk)
				require.Error(t, err, v.Name)
			}
		}
	}
}

func TestVectorStreams(t *testing.T) {
	for _, v := range vectors(t) {
		if v.Expect != "stream" {
			continue
		}
		var frames []vectorFrame
		require.NoError(t, json.Unmarshal(v.Decoded.Frames, &frames), v.Name)
		for chunk := range 40 {
			all, _ := split(v.bytes(t), chunk)
			var got []Frame
			for _, i := range all {
				if i.err == nil {
					got = append(got, i.frame)
				}
			}
			var want []vectorFrame
			for _, f := range frames {
				if f.Error == "" {
					want = append(want, f)
				}
			}
			require.Len(t, got, len(want), "%s in chunks of %d", v.Name, chunk)
			for i, w := range want {
				requireHeader(t, w.Header, got[i].Header, v.Name)
			}
		}
	}
}

func TestVectorSeries(t *testing.T) {
	seen := 0
	for _, v := range vectors(t) {
		if v.Expect != "series" && v.Expect != "series-incomplete" {
			continue
		}
		seen++
		var frames []string
		require.NoError(t, json.Unmarshal(v.Decoded.Frames, &frames), v.Name)
		now := time.Unix(0, 0)
		a := Assembler{Bytes: 1 << 20, Open: 4, Keep: time.Minute}
		g := Gaps{Wait: time.Second, Rounds: 2, Open: 4}
		var whole []Frame
		complete := 0
		for i, h := range frames {
			all, _ := split(unhex(t, h), 0)
			require.Len(t, all, 1, v.Name)
			require.NoError(t, all[0].err, v.Name)
			w, done, given := a.Add(all[0].frame, uint64(i), now)
			require.Empty(t, given, v.Name)
			if done {
				whole = append(whole, w)
			}
			if g.Add(all[0].frame.Header, now) {
				complete++
			}
		}
		if v.Expect == "series" {
			require.Len(t, whole, 1, v.Name)
			require.Equal(t, 1, complete, v.Name)
			require.Equal(t, v.Decoded.FirstSN, whole[0].Serial, v.Name)
			require.Len(t, whole[0].Body, v.Decoded.BodyLen, v.Name)
			require.Empty(t, g.Due(now.Add(time.Hour)), v.Name)
			continue
		}
		require.Empty(t, whole, v.Name)
		require.Empty(t, g.Due(now), v.Name)
		due := g.Due(now.Add(time.Second))
		require.Len(t, due, 1, v.Name)
		require.Equal(t, v.Decoded.Ask.First, due[0].First, v.Name)
		require.Equal(t, v.Decoded.Ask.Indexes, due[0].Indexes, v.Name)
	}
	require.Equal(t, 11, seen)
}
