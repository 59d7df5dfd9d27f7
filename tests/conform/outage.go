package conform

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// outage is how long NATS is away: the nodes must not lose their leases of 10 s,
// with up to 3 s since the last renewal and 2 s until they connect again.
const outage = 3 * time.Second

// natsAway takes the server away under two nodes with connected devices.
func natsAway(t *testing.T, s *stage) {
	h := NewHouse(t)
	r := s.room(t, h, nil)
	listener := r.enter(t, 1, "listener")
	subscribe(t, listener, "probe")
	var kept Device
	if s.Can.Durable {
		kept = r.resumed(t, 1, "kept", "t")
	}
	src := r.source(t, 0, "t")
	src.awaitMore(t, 20)

	h.StopNATS()
	down := time.Now()
	// What is asked before the node has noticed waits for its whole time-out.
	await(t, "the node has not noticed", func() bool { return h.nodes[1].Ready() != nil })
	_, err := r.dial(t, 1, r.login("late"))
	require.True(t, refused(t, err).Later, "a new device may try later: %v", err)
	<-time.After(time.Until(down.Add(outage)))
	up := time.Now()
	h.StartNATS(t)

	src.awaitMore(t, 20)
	src.neverBetween(t, down, up)
	r.heard(t, listener)
	src.end()
	await(t, "the test's own connection is not back", h.nc.IsConnected)
	src.check(t)
	if kept != nil {
		deliveredAll(t, kept, src.confirmed())
	}
	late, err := r.dial(t, 1, r.login("late"))
	require.NoError(t, err)
	publish(t, late, "late", "in at last")
}

// natsAwayLong takes the server away until the nodes' leases are over. Others may
// own the devices by then, so they are sent away, and are let in again after.
func natsAwayLong(t *testing.T, s *stage) {
	h := NewHouse(t)
	r := s.room(t, h, nil)
	d := r.enter(t, 0, "a")
	src := r.source(t, 0, "t")
	src.awaitMore(t, 20)

	h.StopNATS()
	down := time.Now()
	err := d.Publish(within(t), Publication{Topic: "u", Payload: "not stored"})
	require.True(t, refused(t, err).Later, "%v", err)
	if s.Can.Connection {
		ended(t, d)
	}
	up := time.Now()
	h.StartNATS(t)

	src.awaitMore(t, 20)
	src.neverBetween(t, down, up)
	src.end()
	await(t, "the test's own connection is not back", h.nc.IsConnected)
	src.check(t)
	r.awaitGone(t, "a")
	r.awaitGone(t, "source")
	for i, n := range h.nodes {
		await(t, "a node is not back", func() bool { return n.Ready() == nil })
		publish(t, r.enter(t, i, "a"), "v", "back")
	}
}

// heard probes until a subscription from before an outage works again: its node
// may be back later than the one that publishes.
func (r *Room) heard(t *testing.T, d Device) {
	t.Helper()
	var probe Device
	await(t, "no device is let in any more", func() bool {
		var err error
		probe, err = r.dial(t, 0, r.login("probe"))
		return err == nil
	})
	await(t, "the subscription does not work any more", func() bool {
		publish(t, probe, "probe", "are you there")
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := d.Next(ctx)
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded, "the device was lost")
		}
		return err == nil
	})
}

// deliveredAll takes messages until all wanted ones have come. An acknowledgement
// may have been lost with NATS, so some come again; new ones come in order.
func deliveredAll(t *testing.T, d Device, want []string) {
	t.Helper()
	seen := map[string]bool{}
	last := -1
	missing := func() int {
		n := 0
		for _, w := range want {
			if !seen[w] {
				n++
			}
		}
		return n
	}
	for missing() > 0 {
		m, err := d.Next(within(t))
		require.NoErrorf(t, err, "%d of %d messages were not delivered", missing(), len(want))
		require.NoError(t, m.Ack(within(t)))
		if seen[m.Payload] {
			continue
		}
		n, err := strconv.Atoi(m.Payload)
		require.NoError(t, err)
		require.Greater(t, n, last, "out of order")
		seen[m.Payload], last = true, n
	}
}
