package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/sim"
)

// cluster is a nats-server and services, each a process.
type cluster struct {
	t                      *testing.T
	dir, port, conf        string
	nats                   *process
	authn, session, manage *process
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), port: freePort(t)}
	c.conf = filepath.Join(c.dir, "sluice.conf")
	require.NoError(t, os.WriteFile(c.conf, []byte(`
http.bind: "127.0.0.1:0"
data.queue_limit: 1000000 # nothing of these tests is dropped by policy
gateway.stomp.default {
  allow_anonymous: true
  max_inflight: 64
  listener.tcp.default { bind: "127.0.0.1:0", max_conn_rate: 10000 }
}
`), 0o600))
	c.startNATS()
	c.authn = c.service("authn", "authn")
	c.session = c.service("session", "session")
	c.manage = c.service("management", "management")
	return c
}

func (c *cluster) startNATS() {
	c.nats = start(c.t, "nats-server", "nats-server", "-a", "127.0.0.1", "-p", c.port, "-js", "-sd", filepath.Join(c.dir, "js"))
	c.nats.printed(c.t, "Server is ready")
}

func (c *cluster) url() string { return "nats://127.0.0.1:" + c.port }

// service runs one service as its own process.
func (c *cluster) service(node, name string) *process {
	c.t.Helper()
	p := start(c.t, node, "sluice", "run", "-c", c.conf, "--nats", c.url(), "--node", node, name)
	p.printed(c.t, "ready in")
	return p
}

// edge is a STOMP edge and where it listens.
type edge struct {
	*process
	addr string
}

func (c *cluster) edge(node string) *edge {
	c.t.Helper()
	p := c.service(node, "stomp")
	return &edge{p, p.printed(c.t, `stomp\.default tcp +(\S+)`)}
}

// device connects to an edge; the test's end closes it.
func (c *cluster) device(e *edge, id string) *sim.STOMP {
	c.t.Helper()
	d, err := dial(c.t.Context(), e.addr, id)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = d.Close() })
	return d
}

func dial(ctx context.Context, addr, id string) (*sim.STOMP, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return sim.DialSTOMP(ctx, sim.STOMPOptions{ClientID: id, Dial: func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}})
}

// stored is the payloads that GW_DATA has on a subject, in its order.
func (c *cluster) stored(subject string) []string {
	c.t.Helper()
	nc, err := nats.Connect(c.url())
	require.NoError(c.t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(c.t, err)
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	cons, err := js.OrderedConsumer(ctx, "GW_DATA", jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	require.NoError(c.t, err)
	info, err := cons.Info(ctx)
	require.NoError(c.t, err)
	var out []string
	for range info.NumPending {
		m, err := cons.Next(jetstream.FetchMaxWait(10 * time.Second))
		require.NoError(c.t, err)
		out = append(out, string(m.Data()))
	}
	return out
}

// soon gives a step of a test its time.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, fmt.Errorf("not within %s", patience))
	t.Cleanup(cancel)
	return ctx
}

// expect reads messages until those bodies have come, in this order.
func expect(t *testing.T, d *sim.STOMP, bodies ...string) {
	t.Helper()
	for _, want := range bodies {
		m, err := d.Next(soon(t))
		require.NoError(t, err)
		require.Equal(t, want, string(m.Body))
		if m.Get("ack") != "" {
			require.NoError(t, d.Ack(soon(t), m))
		}
	}
}
