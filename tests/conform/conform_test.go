package conform

import (
	"context"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"sluice/streams"
	"sluice/tests/logs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func names(ps []promise) (out []string) {
	for _, p := range ps {
		out = append(out, p.name)
	}
	return out
}

// Every capability brings at least one promise of its own, and what no protocol
// can do without is always there.
func TestPromisesFollowCapabilities(t *testing.T) {
	least := names(promises(&Suite{}))
	require.Contains(t, least, "stored before confirmed")
	require.NotContains(t, least, "work queue")
	for i := range reflect.TypeFor[Capabilities]().NumField() {
		var s Suite
		field := reflect.TypeFor[Capabilities]().Field(i).Name
		reflect.ValueOf(&s.Can).Elem().Field(i).SetBool(true)
		more := names(promises(&s))
		require.Subset(t, more, least)
		if field != "Wildcards" && field != "Farewell" { // these change what promises look at
			require.Greater(t, len(more), len(least), field)
		}
	}
	seen := map[string]bool{}
	for _, name := range least {
		require.False(t, seen[name], name)
		seen[name] = true
	}
}

func TestGateIsDeaf(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	g, err := DialGate(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	defer func() { _ = server.Close() }()
	g.Deaf(true)
	read := make(chan error, 2)
	go func() {
		for range 2 {
			_, err := g.Read(make([]byte, 1))
			read <- err
		}
	}()
	_, err = server.Write([]byte("x"))
	require.NoError(t, err)
	select {
	case <-read:
		require.Fail(t, "it reads")
	case <-time.After(50 * time.Millisecond):
	}
	g.Deaf(false)
	require.NoError(t, <-read)
	g.Deaf(true)
	require.NoError(t, g.Close())
	require.Error(t, <-read)
	require.NoError(t, g.Close())
}

// A house whose NATS went away has everything afterwards, under the same URL.
func TestHouseSurvivesNATS(t *testing.T) {
	h := NewHouse(t)
	_, err := h.js.Publish(within(t), "iot.x", []byte("before"))
	require.NoError(t, err)
	url := h.server.ClientURL()
	h.StopNATS()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = h.js.Publish(ctx, "iot.x", []byte("meanwhile"))
	require.Error(t, err)
	h.StartNATS(t)
	require.Equal(t, url, h.server.ClientURL())
	await(t, "the connection is not back", h.nc.IsConnected)
	require.Equal(t, []string{"before"}, h.payloads(t, "iot.>"))
	for i := range h.nodes {
		await(t, "a node is not ready", func() bool { return h.nodes[i].Ready() == nil })
		h.StopNode(t, i)
	}
	left, err := h.messages(within(t), "KV_"+streams.Nodes, ">")
	require.NoError(t, err)
	for _, m := range left {
		require.Empty(t, m.Data, "leases are released: only markers are left")
	}
}

func TestLogLines(t *testing.T) {
	var l logs.Buffer
	_, err := l.Write([]byte("one\ntwo secret\nthree\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"two secret\n"}, l.Lines("secret"))
	require.Empty(t, l.Lines("four"))
}
