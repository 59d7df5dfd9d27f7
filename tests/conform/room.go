package conform

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/config"
	"sluice/pkg/gateway"
)

// Room is one instance, on both nodes of a house, for one promise: its topics,
// client ids, events and series are nobody else's.
type Room struct {
	*House
	stage     *stage
	Name      string // of the instance
	text      string // its configuration
	instances [2]*gateway.Instance
	addr      [2]string
}

// keys are configuration that all protocols share.
type keys map[string]string

// room starts an instance that ends with the test. Unless keys say otherwise
// its mountpoint is iot/<name>/.
func (s *stage) room(t *testing.T, h *House, more keys) *Room {
	t.Helper()
	h.mu.Lock()
	h.rooms++
	r := &Room{House: h, stage: s, Name: fmt.Sprintf("room%d", h.rooms)}
	h.mu.Unlock()
	all := keys{"mountpoint": quote("iot/" + r.Name + "/"), "auth_timeout": `"20s"`, "idle_timeout": `"20s"`}
	maps.Copy(all, more)
	var b strings.Builder
	b.WriteString(s.Conf + "\n")
	for _, k := range slices.Sorted(maps.Keys(all)) {
		b.WriteString(k + ": " + all[k] + "\n")
	}
	r.text = b.String()
	t.Cleanup(func() { r.close(t) })
	for i := range r.addr {
		r.Open(t, i)
	}
	return r
}

func quote(s string) string { return `"` + s + `"` }

// Open starts the instance on a node.
func (r *Room) Open(t *testing.T, i int) {
	t.Helper()
	n, err := config.Parse(r.Name+".conf", []byte(r.text))
	require.NoError(t, err)
	c, err := r.stage.Kind.Decode(n)
	require.NoError(t, err)
	inst, err := r.nodes[i].Start(within(t), r.stage.Kind, r.Name, c)
	require.NoError(t, err)
	require.Len(t, inst.Listeners(), 1)
	r.instances[i], r.addr[i] = inst, inst.Listeners()[0].Bind
}

// close ends the instance, and looks whether anything of it is left.
func (r *Room) close(t *testing.T) {
	for i, n := range r.nodes {
		if n != nil {
			require.NoError(t, r.instances[i].Stop(within(t)))
		}
	}
	for _, gauge := range []string{"gw_clients", "gw_connections"} {
		await(t, gauge+" does not come back to 0", func() bool { return r.metric(gauge) == 0 })
	}
	for _, n := range r.nodes { // now: a panic is counted after the device was told goodbye
		if n != nil {
			require.Zero(t, n.metrics.Snapshot("", "")["gw_panics_total"], "%s", r.Log.Lines("panic"))
		}
	}
}

func (r *Room) gateway() string { return r.stage.Kind.Proto + "." + r.Name }

func (r *Room) key(client string) api.ClientKey {
	return api.ClientKey{Proto: r.stage.Kind.Proto, Instance: r.Name, Client: client}
}

// subject is where a topic of the room lies in GW_DATA.
func (r *Room) subject(topic string) string {
	return "iot." + r.Name + "." + strings.ReplaceAll(topic, "/", ".")
}

func (r *Room) login(client string) Login {
	return Login{ClientID: client, Username: user, Password: r.password}
}

// dial connects to a node; the device is cut at the end of the test.
func (r *Room) dial(t *testing.T, node int, l Login) (Device, error) {
	t.Helper()
	d, err := r.stage.Dial(within(t), r.addr[node], l)
	if err == nil {
		t.Cleanup(d.Cut)
	}
	return d, err
}

// enter is dial that must succeed, as the usual user.
func (r *Room) enter(t *testing.T, node int, client string) Device {
	t.Helper()
	d, err := r.dial(t, node, r.login(client))
	require.NoError(t, err)
	return d
}

// stranger opens a connection that has said nothing.
func (r *Room) stranger(t *testing.T, node int) *Gate {
	t.Helper()
	g, err := DialGate(within(t), r.stage.Network, r.addr[node])
	require.NoError(t, err)
	t.Cleanup(func() { _ = g.Close() })
	require.NoError(t, g.SetDeadline(time.Now().Add(patience)))
	return g
}

// ended waits until a device knows that its connection is over.
func ended(t *testing.T, d Device) {
	t.Helper()
	select {
	case <-d.Ended():
	case <-time.After(patience):
		require.Fail(t, "the connection is not closed")
	}
}

// publish must succeed.
func publish(t *testing.T, d Device, topic string, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		require.NoError(t, d.Publish(within(t), Publication{Topic: topic, Payload: p}))
	}
}

// subscribe must succeed.
func subscribe(t *testing.T, d Device, filters ...string) {
	t.Helper()
	for _, f := range filters {
		require.NoError(t, d.Subscribe(within(t), Subscription{Filter: f}))
	}
}

// expect takes messages, which must have these payloads in this order, and
// acknowledges them.
func expect(t *testing.T, d Device, payloads ...string) (got []Received) {
	t.Helper()
	for i, want := range payloads {
		m, err := d.Next(within(t))
		require.NoErrorf(t, err, "message %d of %d: %q", i+1, len(payloads), want)
		require.Equalf(t, want, m.Payload, "message %d of %d", i+1, len(payloads))
		require.NoError(t, m.Ack(within(t)))
		got = append(got, m)
	}
	return got
}

// quiet must hear nothing for a moment.
func quiet(t *testing.T, d Device) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	m, err := d.Next(ctx)
	require.ErrorIsf(t, err, context.DeadlineExceeded, "got %q on %q", m.Payload, m.Topic)
}

// numbers are prefix-1 to prefix-n.
func numbers(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%d", prefix, i+1)
	}
	return out
}

// refused must be the server's no.
func refused(t *testing.T, err error) *Refused {
	t.Helper()
	var r *Refused
	require.ErrorAs(t, err, &r)
	return r
}
