package natsx

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLife(t *testing.T) {
	l := NewLife("clerk")
	gone, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	require.ErrorContains(t, l.Ready(gone), "clerk: not ready: enough")
	require.NoError(t, l.Run(t.Context(), func(context.Context) error {
		l.SetReady()
		l.SetReady()
		return nil
	}))
	require.NoError(t, l.Ready(t.Context()), "it was ready")

	l = NewLife("clerk")
	ill := errors.New("ill")
	require.ErrorIs(t, l.Run(t.Context(), func(context.Context) error { return ill }), ill)
	err := l.Ready(t.Context())
	require.ErrorContains(t, err, "clerk: ended before it was ready")
	require.ErrorIs(t, err, ill)
}
