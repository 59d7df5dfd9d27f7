package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryServiceItsOwnProcess is the compose stack without containers: clients
// of one edge reach clients of the other, and one edge is killed.
func TestEveryServiceItsOwnProcess(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	a, b := c.edge("edge-a"), c.edge("edge-b")

	left, right := c.device(a, "left"), c.device(b, "right")
	require.NoError(t, right.Subscribe(soon(t), "1", "room/+"))
	require.NoError(t, left.Subscribe(soon(t), "1", "room/#"))
	require.NoError(t, left.Publish(soon(t), "room/1", []byte("from left")))
	expect(t, right, "from left")
	expect(t, left, "from left")
	require.NoError(t, right.Publish(soon(t), "room/2", []byte("from right")))
	expect(t, left, "from right")
	expect(t, right, "from right")

	t.Run("a work queue has one subscriber for each message, on whatever edge", func(t *testing.T) {
		worker := c.device(b, "worker")
		require.NoError(t, worker.Subscribe(soon(t), "q", "/queue/jobs", "ack", "client-individual"))
		require.NoError(t, left.Publish(soon(t), "/queue/jobs", []byte("job 1")))
		expect(t, worker, "job 1")
	})

	t.Run("a client id has one connection in the cluster", func(t *testing.T) {
		again := c.device(b, "left")
		select {
		case <-left.Ended():
		case <-soon(t).Done():
			t.Fatal("the older connection lives")
		}
		require.ErrorContains(t, left.Err(), "taken over")
		require.NoError(t, again.Publish(soon(t), "room/3", []byte("moved")))
		expect(t, right, "moved")
	})

	t.Run("one edge is killed", func(t *testing.T) {
		sensor := c.device(a, "sensor")
		require.NoError(t, sensor.Subscribe(soon(t), "d", "cmd/sensor", "durable", "true", "ack", "client-individual"))
		a.kill()
		select {
		case <-sensor.Ended():
		case <-soon(t).Done():
			t.Fatal("connected to a dead process")
		}
		require.NoError(t, right.Publish(soon(t), "cmd/sensor", []byte("while away")))
		sensor = c.device(b, "sensor")
		require.NoError(t, sensor.Subscribe(soon(t), "d", "cmd/sensor", "durable", "true", "ack", "client-individual"))
		expect(t, sensor, "while away")
	})

	t.Run("SIGTERM ends every process with 0", func(t *testing.T) {
		for _, p := range []*process{b.process, c.manage, c.session, c.authn} {
			require.Zero(t, p.end(t), p.name)
		}
		require.Error(t, right.Err(), "devices are told")
	})
}
