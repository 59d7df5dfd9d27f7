package mqttsn_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/mqttsn"
)

type vector struct {
	Name    string         `json:"name"`
	Hex     string         `json:"hex"`
	Expect  string         `json:"expect"`
	Decoded map[string]any `json:"decoded"`

	data []byte
}

func vectors(t testing.TB) []vector {
	text, err := os.ReadFile("testdata/mqttsn.jsonl")
	require.NoError(t, err)
	var all []vector
	for line := range bytes.Lines(text) {
		var v vector
		require.NoError(t, json.Unmarshal(line, &v))
		v.data, err = hex.DecodeString(v.Hex)
		require.NoError(t, err)
		all = append(all, v)
	}
	require.Len(t, all, 122)
	return all
}

// decode reads a datagram as an edge does.
func decode(b []byte) (f *mqttsn.Forward, p mqttsn.Packet, err error) {
	if mqttsn.IsForwarded(b) {
		wrap, inner, err := mqttsn.Unwrap(b)
		if err != nil {
			return nil, p, err
		}
		f, b = &wrap, inner
	}
	p, err = mqttsn.Decode(b)
	return f, p, err
}

func encode(f *mqttsn.Forward, p mqttsn.Packet) (b []byte, err error) {
	if f != nil {
		if b, err = f.Append(nil); err != nil {
			return nil, err
		}
	}
	return p.Append(b)
}

func asMap(t testing.TB, v any) (m map[string]any) {
	text, err := json.Marshal(v)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &m))
	return m
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		f, p, err := decode(v.data)
		if v.Expect == "error" {
			require.Error(t, err, v.Name)
			continue
		}
		require.NoError(t, err, v.Name)
		want := v.Decoded
		if f != nil {
			require.Equal(t, want["node_id_hex"], hex.EncodeToString(f.NodeID), v.Name)
			require.EqualValues(t, want["radius"], f.Radius, v.Name)
			want = want["inner"].(map[string]any)
		}
		long := want["long_length"] == true
		delete(want, "length")
		delete(want, "long_length")
		require.Equal(t, want, asMap(t, p), v.Name)

		again, err := encode(f, p)
		require.NoError(t, err, v.Name)
		if !long || len(v.data) > 0xFF { // the long form of a short message is legal, but not ours
			require.Equal(t, v.Hex, hex.EncodeToString(again), v.Name)
		}
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	for _, v := range vectors(t) {
		if v.Expect == "error" {
			continue
		}
		for n := range len(v.data) {
			_, _, err := decode(v.data[:n])
			require.Error(t, err, "%s cut to %d", v.Name, n)
		}
		_, _, err := decode(append(bytes.Clone(v.data), 0))
		require.ErrorIs(t, err, mqttsn.ErrSyntax, "%s and a byte", v.Name)
	}
}
