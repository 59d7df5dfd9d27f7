package conform

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/subject"
	"sluice/streams"
)

// goodbye ends a node as an operator does, under devices at work.
func goodbye(t *testing.T, s *stage) {
	h := NewHouse(t)
	r := s.room(t, h, nil)
	a, b, other := r.enter(t, 0, "a"), r.enter(t, 0, "b"), r.enter(t, 1, "other")
	subscribe(t, a, "t")
	src := r.source(t, 0, "t")
	src.awaitMore(t, 20)

	m := h.nodes[0].metrics
	h.StopNode(t, 0)
	for _, d := range []Device{a, b} {
		if s.Can.Connection {
			ended(t, d)
		}
		if s.Can.Farewell {
			require.True(t, refused(t, d.Err()).Later, "another node may take it: %v", d.Err())
		}
	}
	src.end()
	src.check(t)
	for _, id := range []string{"a", "b", "source"} {
		_, epoch := r.owner(t, id) // at once: Close has waited for it
		require.Zerof(t, epoch, "owner record of %s", id)
		require.Equal(t, epoch, uint64(0))
		r.awaitEnd(t, id, "shutdown")
	}
	kv, err := h.js.KeyValue(within(t), streams.Nodes)
	require.NoError(t, err)
	_, err = kv.Get(within(t), subject.Token("node-0"))
	require.ErrorIs(t, err, jetstream.ErrKeyNotFound, "the lease is not released")
	left := m.Snapshot(s.Kind.Proto, r.Name)
	require.Zero(t, left["gw_clients"])
	require.Zero(t, left["gw_connections"])
	require.Len(t, r.clients(t), 1)
	publish(t, other, "u", "stays")
	publish(t, r.enter(t, 1, "a"), "u", "moved")
}
