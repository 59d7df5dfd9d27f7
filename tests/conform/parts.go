package conform

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"sluice/pkg/gateway"
	"sluice/pkg/metrics"
	"sluice/services/authn"
	"sluice/services/management"
	"sluice/services/session"
	"sluice/streams"
)

const version = "0.0.1"

// running is a service with its connection.
type running struct {
	nc     *nats.Conn
	cancel context.CancelFunc
	done   chan error
}

// StartService starts authn, session or management, and waits until it answers.
func (h *House) StartService(t *testing.T, name string) {
	t.Helper()
	nc, js := h.connect(t, name)
	log := h.log.With("service", name)
	var s interface {
		Run(ctx context.Context) error
		Ready(ctx context.Context) error
	}
	var err error
	switch name {
	case "authn":
		s, err = authn.New(authn.Deps{NC: nc, JS: js, Log: log, Version: version})
	case "management":
		s, err = management.New(management.Deps{NC: nc, JS: js, Log: log, Version: version, NodeTimeout: patience})
	case "session":
		s = session.New(session.Config{NC: nc, JS: js, Log: log, Node: "session", Version: version, Lost: nodeLost})
	default:
		require.Fail(t, "no such service", name)
	}
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r := &running{nc: nc, cancel: cancel, done: make(chan error, 1)}
	h.services[name] = r
	go func() { r.done <- s.Run(ctx) }()
	require.NoError(t, s.Ready(within(t)))
}

// StopService ends a service; one that does not run is no fault.
func (h *House) StopService(t *testing.T, name string) {
	t.Helper()
	r := h.services[name]
	if r == nil {
		return
	}
	delete(h.services, name)
	defer r.nc.Close()
	r.cancel()
	select {
	case err := <-r.done:
		require.NoError(t, err)
	case <-time.After(patience):
		require.Fail(t, "service does not end", name)
	}
}

// edgeNode is a node with its connection and what it counts.
type edgeNode struct {
	*gateway.Node
	nc      *nats.Conn
	metrics *metrics.Metrics
}

// StartNode opens the door of node 0 or 1, without instances.
func (h *House) StartNode(t *testing.T, i int) {
	t.Helper()
	nc, js := h.connectBy(t, "edge", h.relays[i].URL())
	m := metrics.New(version)
	id := fmt.Sprintf("node-%d", i)
	n, err := gateway.Open(within(t), gateway.NodeConfig{
		ID: id, Version: version, Roots: streams.DefaultOptions().Roots,
		NC: nc, JS: js, Log: h.log.With("node", id), Metrics: m,
	})
	require.NoError(t, err)
	h.nodes[i] = &edgeNode{n, nc, m}
}

// StopNode ends a node as an operator does; one that does not run is no fault.
func (h *House) StopNode(t *testing.T, i int) {
	t.Helper()
	n := h.nodes[i]
	if n == nil {
		return
	}
	h.nodes[i] = nil
	defer n.nc.Close()
	require.NoError(t, n.Close(within(t)))
}
