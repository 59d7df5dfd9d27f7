package mqttsn_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/mqttsn"
)

func bytesOf(t testing.TB, text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	require.NoError(t, err)
	return b
}

func TestUnwrap(t *testing.T) {
	f, inner, err := mqttsn.Unwrap(bytesOf(t, "05fefe0102 0217")) // reserved bits of the ctrl field are ignored
	require.NoError(t, err)
	require.Equal(t, mqttsn.Forward{Radius: 2, NodeID: []byte{1, 2}}, f)
	require.Equal(t, []byte{2, 0x17}, inner)
	_ = append(f.NodeID, 9)
	require.Equal(t, []byte{2, 0x17}, inner, "the node id cannot grow into the message")
}

func TestUnwrapRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		hex  string
		want error
	}{
		"no node id":                  {"03fe00 0217", mqttsn.ErrSyntax},
		"no ctrl":                     {"02fe 0217", mqttsn.ErrSyntax},
		"length 0":                    {"00fe00 0217", mqttsn.ErrSyntax},
		"long form":                   {"010006fe0001 0217", mqttsn.ErrSyntax},
		"wrapping within wrapping":    {"04fe0001 04fe0002 0217", mqttsn.ErrSyntax},
		"within it, without a node":   {"04fe0001 03fe00 0217", mqttsn.ErrSyntax},
		"another type":                {"0418003c 0217", mqttsn.ErrSyntax},
		"no message":                  {"04fe0001", mqttsn.ErrIncomplete},
		"length beyond the datagram":  {"20fe0001 0217", mqttsn.ErrIncomplete},
		"nothing":                     {"", mqttsn.ErrIncomplete},
		"zero byte":                   {"00", mqttsn.ErrSyntax},
		"long form, type beyond data": {"0100", mqttsn.ErrIncomplete},
	} {
		_, inner, err := mqttsn.Unwrap(bytesOf(t, c.hex))
		require.ErrorIs(t, err, c.want, name)
		require.Nil(t, inner, name)
	}
	// In the long form it hides from Unwrap, and Decode refuses it.
	_, inner, err := mqttsn.Unwrap(bytesOf(t, "04fe0001 010006fe0002 0217"))
	require.NoError(t, err)
	_, err = mqttsn.Decode(inner)
	require.ErrorIs(t, err, mqttsn.ErrSyntax)
	require.NotErrorIs(t, err, mqttsn.ErrContent)
}
