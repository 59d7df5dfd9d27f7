package conform

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// How long the session service waits for a node that does not answer, and how
// long one is cut off: longer than that, and well within its lease of 10 s, with
// up to 3 s since the last renewal and 2 s until it connects again.
const (
	nodeLost   = time.Second
	cutOffTime = 2500 * time.Millisecond
)

// cutOff breaks the network between one node and NATS while all others work on.
// Its devices notice nothing but a pause.
func cutOff(t *testing.T, s *stage) {
	h := NewHouse(t)
	r := s.room(t, h, nil)
	d, kept, far := r.enter(t, 0, "a"), r.enter(t, 0, "kept"), r.enter(t, 1, "far")
	subscribe(t, d, "probe")
	if s.Can.Durable {
		keep(t, kept, "t")
	}

	h.relays[0].Cut()
	down := time.Now()
	publish(t, far, "t", numbers("m", 5)...)
	<-time.After(time.Until(down.Add(cutOffTime)))
	h.relays[0].Mend()
	await(t, "the node is not back", func() bool { return h.nodes[0].Ready() == nil })

	publish(t, far, "t", "after")
	if s.Can.Durable {
		expect(t, kept, append(numbers("m", 5), "after")...)
	}
	r.heard(t, d)
	require.Len(t, r.clients(t), 4, "no device was lost, and the probe has come")
}
