package mqttsn_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/mqttsn"
)

// FuzzDecode: nothing makes it panic, what it takes can be written and is the
// same packet once more, and what it does not take cannot be written.
func FuzzDecode(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.data)
	}
	for _, seed := range []string{"06040401003c", "080c630001000778", "04fe000104fe00020217", "04fe0001010006fe00020217", "00"} {
		f.Add(bytesOf(f, seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, _ = mqttsn.Unwrap(b) // of anything, not only of what IsForwarded lets through
		p, err := mqttsn.Decode(b)
		require.False(t, err == nil && mqttsn.IsForwarded(b), "a wrapping is no packet")
		roundTrip(t, nil, p, err)

		wrap, p, err := decode(b)
		if wrap != nil {
			require.NotEmpty(t, wrap.NodeID)
			require.NotEqual(t, mqttsn.Encapsulated, p.Type)
			roundTrip(t, wrap, p, err)
		}
	})
}

func roundTrip(t *testing.T, wrap *mqttsn.Forward, p mqttsn.Packet, err error) {
	again, wrong := encode(wrap, p)
	switch {
	case err == nil, errors.Is(err, mqttsn.ErrEmptyClientID):
		require.NoError(t, wrong)
		wrap2, p2, err2 := decode(again)
		require.Equal(t, err, err2)
		require.Equal(t, wrap, wrap2)
		require.Equal(t, p, p2)
		require.Equal(t, asMap(t, p), asMap(t, p2))
	case errors.Is(err, mqttsn.ErrContent):
		require.ErrorIs(t, wrong, mqttsn.ErrNotEncodable)
		require.NotEmpty(t, asMap(t, p))
	default:
		require.True(t, errors.Is(err, mqttsn.ErrSyntax) || errors.Is(err, mqttsn.ErrIncomplete), "%v", err)
		require.Zero(t, p)
	}
}
