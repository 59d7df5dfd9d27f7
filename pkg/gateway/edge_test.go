package gateway

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/pkg/subject"
	"sluice/streams"
)

// ask asks a node as an operator does.
func ask[Resp any](t testing.TB, h *house, verb string, req any) (Resp, error) {
	t.Helper()
	return natsx.Call[any, Resp](t.Context(), h.nc, streams.EdgeSubject("a", verb, ""), req)
}

func TestListPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	x, y := h.instance(n, "x", ""), h.instance(n, "y", "")
	for k := range 25 {
		let(t, x, fmt.Sprintf("car %02d", k))
	}
	let(t, y, "bike")
	var got []string
	req := api.ListRequest{Gateway: "line.x", LikeClientID: "car", Node: "a", Limit: 10}
	for pages := 1; ; pages++ {
		r, err := ask[api.ListResponse](t, h, "list", req)
		require.NoError(t, err)
		require.Equal(t, 25, r.Count)
		for _, c := range r.Data {
			got = append(got, c.Client)
		}
		if req.After = r.Next; r.Next == "" {
			require.Equal(t, 3, pages)
			break
		}
		require.Len(t, r.Data, 10)
	}
	require.Len(t, got, 25)
	require.IsIncreasing(t, got)
	for _, c := range []struct {
		req  api.ListRequest
		want int
	}{
		{api.ListRequest{}, 26}, {api.ListRequest{Gateway: "line"}, 26}, {api.ListRequest{Gateway: "line.y"}, 1}, {api.ListRequest{Gateway: "stomp"}, 0},
		{api.ListRequest{ClientID: "bike"}, 1}, {api.ListRequest{Username: "bob"}, 0}, {api.ListRequest{Node: "b"}, 0}, {api.ListRequest{Limit: 1 << 30}, 26},
	} {
		r, err := ask[api.ListResponse](t, h, "list", c.req)
		require.NoError(t, err)
		require.Len(t, r.Data, c.want, "%+v", c.req)
		require.NotNil(t, r.Data)
	}
}

// TestListPagesBySize: a page ends before it would not fit a message.
func TestListPagesBySize(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	i := h.instance(n, "i", "max_subscriptions: 200")
	const clients = 8
	for k := range clients {
		c := let(t, i, fmt.Sprint(k))
		for s := range 120 {
			require.NoError(t, c.Subscribe(t.Context(), plain(fmt.Sprint(s), strings.Repeat("x", 2500)))) // 300 KB of 1 MiB
		}
	}
	var got []string
	for req := (api.ListRequest{}); ; {
		r, err := ask[api.ListResponse](t, h, "list", req)
		require.NoError(t, err)
		require.LessOrEqual(t, len(r.Data), 3)
		for _, c := range r.Data {
			require.Len(t, c.Subscriptions, 120)
			got = append(got, c.Client)
		}
		if req.After = r.Next; r.Next == "" {
			break
		}
	}
	require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6", "7"}, got)
}

func TestEdgeVerbs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	c := let(t, h.instance(n, "i", ""), "c")
	status, err := ask[[]api.InstanceStatus](t, h, "status", struct{}{})
	require.NoError(t, err)
	require.Len(t, status, 1)
	require.Equal(t, "running", status[0].Status)
	counts, err := ask[map[string]float64](t, h, "metrics", map[string]string{"gateway": "line.i"})
	require.NoError(t, err)
	require.Equal(t, 1.0, counts["gw_clients"], counts)
	_, err = ask[any](t, h, "dance", struct{}{})
	wantKind(t, api.NotFound, err)
	_, err = natsx.Call[string, api.ListResponse](t.Context(), h.nc, streams.EdgeSubject("a", "list", ""), "no request")
	wantKind(t, api.Invalid, err)

	kick := func(key string, epoch uint64) bool {
		m := nats.NewMsg(streams.EdgeSubject("a", "kick", key))
		if epoch > 0 {
			m.Header.Set(streams.HdrEpoch, fmt.Sprint(epoch))
		}
		r, err := h.nc.RequestMsg(m, patience)
		require.NoError(t, err)
		return string(r.Data) == "true"
	}
	require.False(t, kick("line.i."+subject.Token("nobody"), 0))
	require.False(t, kick(c.key, c.info.Epoch), "not older than this")
	require.Empty(t, c.kicked)
	require.True(t, kick(c.key, 0))
	require.ErrorIs(t, kicked(t, c), ErrKicked)
}

func TestEventsOfAClient(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	i := h.instance(n, "i", "")
	c := let(t, i, "car")
	require.NoError(t, c.Subscribe(t.Context(), plain("s", "t")))
	require.NoError(t, c.Unsubscribe(t.Context(), "s", false))
	c.Close(ErrIdle)
	require.NoError(t, n.pub.flush(t.Context()))
	var names []string
	for _, m := range h.messages(streams.Events, "gw.evt.line.i.*.car") {
		var e api.Event
		require.NoError(t, json.Unmarshal(m.Data(), &e))
		require.Equal(t, "a", e.Node)
		require.Equal(t, c.info.Epoch, e.Epoch)
		require.WithinDuration(t, time.Now(), e.At, time.Minute)
		names = append(names, e.Event+" "+e.Topic+e.Reason)
	}
	require.Equal(t, []string{"connected ", "subscribed t", "unsubscribed t", "disconnected idle"}, names)
}
