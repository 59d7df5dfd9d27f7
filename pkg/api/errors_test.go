package api

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKinds(t *testing.T) {
	names := []string{"internal", "denied", "invalid", "not_found", "conflict", "too_large", "busy", "unavailable"}
	require.Len(t, Kinds(), len(names))
	for i, k := range Kinds() {
		require.Equal(t, Kind(i), k)
		require.Equal(t, names[i], k.String(), "codes on the wire do not change")
		require.Equal(t, k, ParseKind(names[i]))
	}
	require.Equal(t, "internal", Kind(200).String())
	for _, s := range []string{"", "nosuch", "Denied", "404"} {
		require.Equal(t, Internal, ParseKind(s))
	}
}

var errCause = errors.New("dial tcp 10.0.0.7: password hunter2")

func TestErrorsKeepTheirKind(t *testing.T) {
	for _, k := range Kinds() {
		for _, err := range []error{Errorf(k, "publish", "to %s", "a"), Wrap(k, "publish", "to a", errCause)} {
			for _, wrapped := range []error{err, fmt.Errorf("outer: %w", err), errors.Join(errors.New("other"), err), Errorf(k, "connect", "no: %w", err)} {
				require.Equal(t, k, KindOf(wrapped), wrapped)
			}
		}
	}
	require.Equal(t, Internal, KindOf(errCause))
	require.Equal(t, Internal, KindOf(nil))
	require.Equal(t, Busy, KindOf(Errorf(Busy, "a", "x: %w", Errorf(Denied, "b", "y"))), "the outermost decides")
}

// What a device is told never has the cause of Wrap in it, and nothing at all of
// an internal error.
func TestPeerText(t *testing.T) {
	for _, k := range Kinds() {
		for _, err := range []error{Wrap(k, "publish", "try later", errCause), fmt.Errorf("secret %w", Wrap(k, "publish", "try later", errCause))} {
			want := "try later"
			if k == Internal {
				want = "internal error"
			}
			require.Equal(t, want, PeerText(err))
			require.ErrorContains(t, err, "hunter2", "the log has all of it")
			require.ErrorIs(t, err, errCause)
		}
	}
	require.Equal(t, "internal error", PeerText(errCause))
	require.Equal(t, "internal error", PeerText(Errorf(Internal, "publish", "at %s: %w", "10.0.0.7", errCause)))
	require.Equal(t, "frame: "+errCause.Error(), PeerText(Errorf(Invalid, "publish", "frame: %w", errCause)), "Errorf says that its text is for the peer")
}

func TestErrorText(t *testing.T) {
	require.EqualError(t, Errorf(Denied, "publish", "topic %q", "a"), `publish: topic "a"`)
	require.EqualError(t, Errorf(Denied, "", "no"), "no")
	require.EqualError(t, Errorf(Invalid, "publish", "bad: %w", errCause), "publish: bad: "+errCause.Error(), "the cause stands once")
	require.EqualError(t, Wrap(Unavailable, "publish", "try later", errCause), "publish: try later: "+errCause.Error())
	require.EqualError(t, Wrap(Unavailable, "publish", "try later", nil), "publish: try later")
	require.ErrorIs(t, Errorf(Invalid, "publish", "bad: %w", errCause), errCause)
}
