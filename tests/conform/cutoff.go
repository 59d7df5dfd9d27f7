package conform

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/services/session"
)

// cutOffTime is longer than the session service waits for a node that does not
// answer, and shorter than the node's lease, so that its devices stay.
const cutOffTime = 5 * time.Second

// cutOff breaks the network between one node and NATS while all others work on.
// Its devices notice nothing but a pause.
func cutOff(t *testing.T, s *stage) {
	require.Positive(t, session.New(session.Config{}).Lost)
	require.Less(t, session.New(session.Config{}).Lost, cutOffTime)
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
