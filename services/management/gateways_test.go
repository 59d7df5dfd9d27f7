package management

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

func part(node, inst, status string, connections int, since time.Time) api.InstanceStatus {
	return api.InstanceStatus{Proto: "stomp", Instance: inst, Node: node, Status: status, StartedAt: since,
		Listeners: []api.ListenerStatus{{ID: "stomp:tcp:default", Running: status == Running, Connections: connections, MaxConnections: 10}}}
}

func TestGatewaysAreSummedOverNodes(t *testing.T) {
	h := open(t)
	early, late := time.Unix(1000, 0).UTC(), time.Unix(2000, 0).UTC()
	h.join(t, &node{name: "n1", statuses: []api.InstanceStatus{part("n1", "default", Running, 3, late), part("n1", "odd", Running, 0, early)}})
	h.join(t, &node{name: "n 2", statuses: []api.InstanceStatus{part("n 2", "default", Running, 4, early), part("n 2", "odd", Stopped, 0, early)}})
	got, err := call[struct{}, GatewayList](t, h, "gateway.list", struct{}{})
	require.NoError(t, err)
	require.Empty(t, got.Missing)
	require.Len(t, got.Data, 2)
	g := got.Data[0]
	require.Equal(t, "stomp.default", g.Name)
	require.Equal(t, Running, g.Status)
	require.Equal(t, 7, g.Connections)
	require.Equal(t, 20, g.MaxConnections)
	require.Equal(t, early, g.StartedAt)
	require.Equal(t, "n 2", g.Nodes[0].Node)
	require.Equal(t, Inconsistent, got.Data[1].Status)

	one, err := call[LookupGateway, api.Gateway](t, h, "gateway.lookup", LookupGateway{Name: "stomp.default"})
	require.NoError(t, err)
	require.Equal(t, g, one)
	for name, kind := range map[string]api.Kind{"stomp": api.Conflict, "coap": api.NotFound, "stomp.nope": api.NotFound, "": api.Invalid, "stomp.": api.Invalid} {
		_, err := call[LookupGateway, api.Gateway](t, h, "gateway.lookup", LookupGateway{Name: name})
		require.Equal(t, kind, api.KindOf(err), "%q: %v", name, err)
	}
}

func TestSilentNodeIsNamed(t *testing.T) {
	h := open(t)
	h.join(t, &node{name: "n1", statuses: []api.InstanceStatus{part("n1", "default", Running, 3, time.Unix(1, 0).UTC())}, metrics: map[string]float64{"a": 1}})
	h.join(t, &node{name: "n2", silent: true})
	h.put(t, streams.Nodes, "n3", api.NodeLease{Node: "n3", Services: []string{"mqttsn"}}) // nobody listens
	got, err := call[struct{}, GatewayList](t, h, "gateway.list", struct{}{})
	require.NoError(t, err)
	require.Equal(t, []string{"n2", "n3"}, got.Missing)
	require.Equal(t, Inconsistent, got.Data[0].Status)
	require.Len(t, got.Data[0].Nodes, 2, "n3 does not run stomp")
	require.Equal(t, unknown, got.Data[0].Nodes[1].Status)

	_, err = call[LookupGateway, api.Gateway](t, h, "gateway.lookup", LookupGateway{Name: "mqttsn"})
	require.Equal(t, api.Unavailable, api.KindOf(err), "not found by those who answered is not not found")
	require.ErrorContains(t, err, "n2, n3")
	_, err = call[LookupClient, api.ClientInfo](t, h, "clients.lookup", LookupClient{Gateway: "stomp", Client: "c"})
	require.Equal(t, api.Unavailable, api.KindOf(err))

	page, err := call[api.ListRequest, api.ListResponse](t, h, "clients.list", api.ListRequest{Gateway: "stomp"})
	require.NoError(t, err)
	require.Equal(t, []string{"n2", "n3"}, page.Missing)
	m, err := call[MetricsRequest, Metrics](t, h, "metrics", MetricsRequest{})
	require.NoError(t, err)
	require.Equal(t, Metrics{Data: map[string]float64{"a": 1}, Missing: []string{"n2", "n3"}}, m)
}

func TestNodes(t *testing.T) {
	h := open(t)
	all, err := call[struct{}, []api.NodeLease](t, h, "nodes.list", struct{}{})
	require.NoError(t, err)
	require.NotNil(t, all)
	require.Empty(t, all)
	h.join(t, &node{name: "b"})
	h.join(t, &node{name: "a.x"})
	h.put(t, streams.Nodes, "odd", "no object")
	all, err = call[struct{}, []api.NodeLease](t, h, "nodes.list", struct{}{})
	require.NoError(t, err)
	require.Equal(t, []string{"a.x", "b", "odd"}, names(all))
	require.Equal(t, "1.0.0", all[0].Version)

	kv, err := h.js.KeyValue(t.Context(), streams.Nodes)
	require.NoError(t, err)
	require.NoError(t, kv.Delete(t.Context(), "b"))
	all, err = call[struct{}, []api.NodeLease](t, h, "nodes.list", struct{}{})
	require.NoError(t, err)
	require.Equal(t, []string{"a.x", "odd"}, names(all))
}

func TestMetricsAreSummed(t *testing.T) {
	h := open(t)
	h.join(t, &node{name: "n1", metrics: map[string]float64{"a": 1, "b": 2}})
	h.join(t, &node{name: "n2", metrics: map[string]float64{"a": 3}})
	m, err := call[MetricsRequest, Metrics](t, h, "metrics", MetricsRequest{Gateway: "stomp.default"})
	require.NoError(t, err)
	require.Equal(t, map[string]float64{"a": 4, "b": 2}, m.Data)
	_, err = call[MetricsRequest, Metrics](t, h, "metrics", MetricsRequest{Gateway: ".x"})
	require.Equal(t, api.Invalid, api.KindOf(err))
}
