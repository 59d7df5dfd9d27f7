package conform

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
)

func takeoverHere(t *testing.T, s *stage)  { takeover(t, s, 0) }
func takeoverThere(t *testing.T, s *stage) { takeover(t, s, 1) }

// takeover lets a device come again, on the same node or the other one, while
// the house still has its old connection.
func takeover(t *testing.T, s *stage, node int) {
	r := s.room(t, s.house, nil)
	old := r.enter(t, 0, "a")
	subscribe(t, old, "t")
	_, before := r.owner(t, "a")
	now := r.enter(t, node, "a")
	_, epoch := r.owner(t, "a")
	require.Greater(t, epoch, before)
	if s.Can.Connection {
		ended(t, old)
	}
	if s.Can.Farewell {
		refused(t, old.Err())
	}
	require.Equal(t, before, r.awaitEnd(t, "a", "taken_over").Epoch)
	old.Cut()
	await(t, "the old one is still a client", func() bool { return r.metric("gw_clients") == 1 })
	subscribe(t, now, "t")
	publish(t, now, "t", "after")
	expect(t, now, "after")
	_, still := r.owner(t, "a")
	require.Equal(t, epoch, still, "the old connection's end must not touch the new record")
	all := r.clients(t)
	require.Len(t, all, 1)
	require.Equal(t, epoch, all[0].Epoch)
	require.Len(t, r.events(t, api.EventConnected, "a"), 2)
	require.NoError(t, now.Close(within(t)))
	r.awaitGone(t, "a")
}
