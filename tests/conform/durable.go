package conform

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// keep opens or resumes a durable subscription.
func keep(t *testing.T, d Device, filter string) {
	t.Helper()
	require.NoError(t, d.Subscribe(within(t), Subscription{Filter: filter, Durable: true}))
}

// resumed is a device that is back on a node with its durable subscription. An
// owner that died may still be expected back: the device tries again.
func (r *Room) resumed(t *testing.T, node int, client, filter string) Device {
	t.Helper()
	d := r.enter(t, node, client)
	keep(t, d, filter)
	return d
}

// vanish is a device that is lost. Without connections nobody notices before it
// comes back.
func (r *Room) vanish(t *testing.T, d Device, client string) {
	t.Helper()
	d.Cut()
	if r.stage.Can.Connection {
		r.awaitEnd(t, client, "closed")
	}
}

func durableDisconnect(t *testing.T, s *stage) {
	r := s.room(t, s.house, nil)
	source := r.enter(t, 0, "source")
	d := r.resumed(t, 0, "a", "t")
	publish(t, source, "t", "live")
	expect(t, d, "live")
	r.vanish(t, d, "a")
	publish(t, source, "t", numbers("away", 40)...)
	d = r.resumed(t, 1, "a", "t") // on the other node
	expect(t, d, numbers("away", 40)...)
	require.NoError(t, d.Close(within(t)))
	r.awaitEnd(t, "a", "normal") // what it acknowledged has gone before
	publish(t, source, "t", "again")
	d = r.resumed(t, 0, "a", "t")
	expect(t, d, "again") // and nothing of what was acknowledged
	quiet(t, d)
}

// durableRestarts stops, one after the other, everything between the publisher
// and the device.
func durableRestarts(t *testing.T, s *stage) {
	h := NewHouse(t)
	r := s.room(t, h, nil)
	source := r.enter(t, 1, "source")
	d := r.resumed(t, 0, "a", "t")
	publish(t, source, "t", "first")
	expect(t, d, "first")

	h.StopNode(t, 0)
	if s.Can.Connection {
		ended(t, d)
	}
	publish(t, source, "t", numbers("node", 20)...)
	h.StartNode(t, 0)
	r.Open(t, 0)
	d = r.resumed(t, 0, "a", "t")
	expect(t, d, numbers("node", 20)...)

	d.Cut()
	publish(t, source, "t", numbers("before", 10)...)
	h.StopService(t, "session")
	publish(t, source, "t", numbers("session", 10)...)
	h.StartService(t, "session")
	d = r.resumed(t, 0, "a", "t")
	expect(t, d, slices.Concat(numbers("before", 10), numbers("session", 10))...)
	h.StopService(t, "session") // under a connected device
	publish(t, source, "t", numbers("under", 10)...)
	h.StartService(t, "session")
	expect(t, d, numbers("under", 10)...)
	quiet(t, d)
}

func redelivered(t *testing.T, s *stage) {
	r := s.room(t, s.house, nil)
	source := r.enter(t, 0, "source")
	d := r.resumed(t, 0, "a", "t")
	publish(t, source, "t", numbers("m", 3)...)
	for i, want := range numbers("m", 3) {
		m, err := d.Next(within(t))
		require.NoError(t, err)
		require.Equal(t, want, m.Payload)
		require.False(t, m.Again)
		if i == 0 {
			require.NoError(t, m.Ack(within(t)))
		}
	}
	r.vanish(t, d, "a")
	d = r.resumed(t, 1, "a", "t")
	for _, m := range expect(t, d, "m-2", "m-3") {
		require.True(t, m.Again, m.Payload)
	}
	require.NoError(t, d.Close(within(t)))
	r.awaitEnd(t, "a", "normal") // what it acknowledged has gone before
	d = r.resumed(t, 1, "a", "t")
	quiet(t, d)
}

func work(t *testing.T, d Device, queue string) {
	t.Helper()
	require.NoError(t, d.Subscribe(within(t), Subscription{Filter: queue, Queue: true}))
}

// workQueue gives each job to one of the workers of both nodes.
func workQueue(t *testing.T, s *stage) {
	r := s.room(t, s.house, nil)
	source := r.enter(t, 0, "source")
	jobs := numbers("job", 30)
	for _, j := range jobs { // before anybody works
		require.NoError(t, source.Publish(within(t), Publication{Topic: "jobs", Queue: true, Payload: j}))
	}
	var done []string
	workers := []Device{r.enter(t, 0, "w0"), r.enter(t, 1, "w1")}
	for _, w := range workers {
		work(t, w, "jobs")
	}
	for end := time.Now().Add(patience); len(done) < len(jobs); {
		require.True(t, time.Now().Before(end), "%d of %d jobs were given out", len(done), len(jobs))
		for _, w := range workers {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			m, err := w.Next(ctx)
			cancel()
			if err == nil {
				require.NoError(t, m.Ack(within(t)))
				done = append(done, m.Payload)
			} else {
				require.ErrorIs(t, err, context.DeadlineExceeded)
			}
		}
	}
	for _, w := range workers {
		quiet(t, w)
	}
	require.ElementsMatch(t, jobs, done)
}

// workQueueGivesBack: what a worker did not acknowledge goes to another.
func workQueueGivesBack(t *testing.T, s *stage) {
	r := s.room(t, s.house, nil)
	source, first := r.enter(t, 0, "source"), r.enter(t, 0, "w0")
	work(t, first, "jobs")
	for _, j := range numbers("job", 3) {
		require.NoError(t, source.Publish(within(t), Publication{Topic: "jobs", Queue: true, Payload: j}))
	}
	for i, want := range numbers("job", 3) {
		m, err := first.Next(within(t))
		require.NoError(t, err)
		require.Equal(t, want, m.Payload)
		if i == 0 {
			require.NoError(t, m.Ack(within(t)))
		}
	}
	first.Cut()
	second := r.enter(t, 1, "w1")
	work(t, second, "jobs")
	var got []string
	for range 2 {
		m, err := second.Next(within(t))
		require.NoError(t, err)
		require.True(t, m.Again)
		require.NoError(t, m.Ack(within(t)))
		got = append(got, m.Payload)
	}
	require.ElementsMatch(t, []string{"job-2", "job-3"}, got)
	quiet(t, second)
}
