package management

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

// pages follows the cursor to the end.
func pages(t *testing.T, h *house, r api.ListRequest) (ids []string, count int) {
	t.Helper()
	for range 1000 {
		p, err := call[api.ListRequest, api.ListResponse](t, h, "clients.list", r)
		require.NoError(t, err)
		require.LessOrEqual(t, len(p.Data), max(r.Limit, defaultLimit))
		for _, c := range p.Data {
			ids = append(ids, c.Client)
		}
		count = p.Count
		if r.After = p.Next; r.After == "" {
			return ids, count
		}
		require.NotEmpty(t, p.Data, "a page before the last is never empty")
	}
	t.Fatal("no end")
	return nil, 0
}

func TestClientsArePagedOverNodes(t *testing.T) {
	h := open(t)
	var want []string
	nodes := []*node{{name: "n1", page: 7}, {name: "n2", page: 50}, {name: "n3"}}
	for i := range 230 {
		id := fmt.Sprintf("c%03d", i)
		n := nodes[i*i%3%2]
		n.clients = append(n.clients, client("default", id, 1))
		want = append(want, id)
	}
	nodes[2].clients = []api.ClientInfo{client("default", "c100", 9)} // has moved from another node
	for _, n := range nodes {
		h.join(t, n)
	}
	for _, limit := range []int{0, 1, 13, 100, 10_000} {
		got, _ := pages(t, h, api.ListRequest{Gateway: "stomp.default", Limit: limit})
		require.Equal(t, want, got, "limit %d", limit)
	}
	p, err := call[api.ListRequest, api.ListResponse](t, h, "clients.list", api.ListRequest{ClientID: "c100"})
	require.NoError(t, err)
	require.Equal(t, 1, p.Count)
	require.EqualValues(t, 9, p.Data[0].Epoch, "the later owner")
	p, err = call[api.ListRequest, api.ListResponse](t, h, "clients.list", api.ListRequest{Node: "n3"})
	require.NoError(t, err)
	require.Len(t, p.Data, 1)
}

func TestLargePagesAreCut(t *testing.T) {
	h := open(t)
	n := &node{name: "n1", page: 60}
	for i := range 100 {
		c := client("default", fmt.Sprintf("c%03d", i), 1)
		c.Username = strings.Repeat("x", 16<<10)
		n.clients = append(n.clients, c)
	}
	h.join(t, n)
	other := &node{name: "n2", page: 60}
	for i := range 100 {
		c := client("default", fmt.Sprintf("c%03d-", i), 1)
		c.Username = strings.Repeat("x", 16<<10)
		other.clients = append(other.clients, c)
	}
	h.join(t, other)
	got, count := pages(t, h, api.ListRequest{Limit: 500})
	require.Len(t, got, 200)
	require.Equal(t, 200, count)
	require.True(t, slices.IsSorted(got))
}

func TestListRefuses(t *testing.T) {
	h := open(t)
	h.join(t, &node{name: "n1", statuses: []api.InstanceStatus{part("n1", "default", Running, 0, time.Time{})}})
	for name, c := range map[string]struct {
		r    api.ListRequest
		kind api.Kind
	}{
		"limit":           {api.ListRequest{Limit: 10_001}, api.Invalid},
		"negative":        {api.ListRequest{Limit: -1}, api.Invalid},
		"gateway name":    {api.ListRequest{Gateway: "."}, api.Invalid},
		"unknown node":    {api.ListRequest{Node: "n9"}, api.NotFound},
		"unknown gateway": {api.ListRequest{Gateway: "stmop"}, api.NotFound},
	} {
		_, err := call[api.ListRequest, api.ListResponse](t, h, "clients.list", c.r)
		require.Equal(t, c.kind, api.KindOf(err), "%s: %v", name, err)
	}
	p, err := call[api.ListRequest, api.ListResponse](t, h, "clients.list", api.ListRequest{Gateway: "stomp"})
	require.NoError(t, err, "a gateway without clients is no error")
	require.NotNil(t, p.Data)
}

func TestLookupClient(t *testing.T) {
	h := open(t)
	h.join(t, &node{name: "n1", clients: []api.ClientInfo{client("a", "x.y", 1), client("b", "both", 1), client("a", "both", 1)}})
	look := func(gw, id string) (api.ClientInfo, error) {
		return call[LookupClient, api.ClientInfo](t, h, "clients.lookup", LookupClient{Gateway: gw, Client: id})
	}
	c, err := look("stomp", "x.y")
	require.NoError(t, err)
	require.Equal(t, "a", c.Instance)
	_, err = look("stomp", "both")
	require.Equal(t, api.Conflict, api.KindOf(err))
	require.ErrorContains(t, err, "stomp.a, stomp.b")
	_, err = look("stomp.b", "both")
	require.NoError(t, err)
	_, err = look("stomp.b", "x.y")
	require.Equal(t, api.NotFound, api.KindOf(err))
	_, err = look("stomp.b", "")
	require.Equal(t, api.Invalid, api.KindOf(err))
}

func TestKick(t *testing.T) {
	h := open(t)
	n1 := h.join(t, &node{name: "n1", clients: []api.ClientInfo{client("a", "c 1", 1), client("b", "c 1", 1)}})
	h.join(t, &node{name: "n2"})
	h.join(t, &node{name: "n3", silent: true})
	own := func(inst, id, node string) {
		h.put(t, streams.Clients, client(inst, id, 1).String(), api.Owner{Node: node})
	}
	kick := func(gw, id string) (Kicked, error) {
		return call[api.KickRequest, Kicked](t, h, "clients.kick", api.KickRequest{Gateway: gw, Client: id})
	}
	own("a", "c 1", "n1")
	own("b", "c 1", "n1")
	own("a", "left", "n2")
	own("a", "dead", "n9")
	own("a", "mute", "n3")
	k, err := kick("stomp.a", "c 1")
	require.NoError(t, err)
	require.Equal(t, []api.ClientKey{client("a", "c 1", 1).ClientKey}, k.Kicked)
	k, err = kick("stomp", "c 1")
	require.NoError(t, err)
	require.Len(t, k.Kicked, 2)
	n1.mu.Lock()
	require.Equal(t, []string{"stomp.a.c=201", "stomp.a.c=201", "stomp.b.c=201"}, n1.kicked)
	n1.mu.Unlock()
	for id, kind := range map[string]api.Kind{"left": api.NotFound, "dead": api.NotFound, "nobody": api.NotFound, "mute": api.Unavailable, "": api.Invalid} {
		_, err := kick("stomp.a", id)
		require.Equal(t, kind, api.KindOf(err), "%q: %v", id, err)
	}
	require.Len(t, h.audited(t), 5, "what names a client that is known")
}
