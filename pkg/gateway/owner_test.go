package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/streams"
)

// owner is the record of a client, nil when there is none.
func (h *house) owner(c *client) (*api.Owner, uint64) {
	h.t.Helper()
	kv, err := h.js.KeyValue(h.t.Context(), streams.Clients)
	require.NoError(h.t, err)
	e, err := kv.Get(h.t.Context(), c.key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0
	}
	require.NoError(h.t, err)
	o := &api.Owner{}
	require.NoError(h.t, json.Unmarshal(e.Value(), o))
	return o, e.Revision()
}

func TestLaterConnectionTakesOver(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, b := h.node("a"), h.node("b")
	ia, ib := h.instance(a, "i", ""), h.instance(b, "i", "")
	first := let(t, ia, "car")
	second := let(t, ib, "car")
	require.ErrorIs(t, kicked(t, first), ErrTakenOver)
	first.Close(ErrTakenOver)
	first.Close(nil) // of no effect
	require.NoError(t, a.pub.flush(t.Context()))
	o, epoch := h.owner(second)
	require.NotNil(t, o, "the old connection must not delete the record of the new one")
	require.Equal(t, "b", o.Node)
	require.Equal(t, b.held.Load().unique, o.Lease)
	require.Equal(t, second.info.Epoch, epoch)
	require.Greater(t, second.info.Epoch, first.info.Epoch)

	third := let(t, ib, "car") // on the same node
	require.ErrorIs(t, kicked(t, second), ErrTakenOver)
	second.Close(ErrTakenOver)
	require.Same(t, third, b.find(third.key))
	require.Zero(t, a.Clients())
	require.Equal(t, 1, b.Clients())
	third.Close(nil)
	require.NoError(t, b.pub.flush(t.Context()))
	o, _ = h.owner(third)
	require.Nil(t, o)
	require.Zero(t, b.Clients())
	again := let(t, ia, "car") // on the marker of the one before
	require.Greater(t, again.info.Epoch, third.info.Epoch)
}

// TestConcurrentClaimsLeaveOne: many connections with one client id on two
// nodes at once, some of which end at once: one of them, and the one that the
// record names, is left.
func TestConcurrentClaimsLeaveOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	nodes := []*Node{h.node("a"), h.node("b")}
	insts := []*Instance{h.instance(nodes[0], "i", ""), h.instance(nodes[1], "i", "")}
	for round := range 10 {
		id := fmt.Sprintf("car-%d", round)
		var mu sync.Mutex
		var in []*client
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				c, err := letErr(t.Context(), insts[g%2], id)
				if err != nil {
					if api.KindOf(err) != api.Unavailable {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				defer mu.Unlock()
				in = append(in, c)
			})
		}
		wg.Wait()
		var live []*client
		require.Eventually(t, func() bool {
			live = live[:0]
			for _, c := range in {
				if len(c.kicked) == 0 {
					live = append(live, c)
				}
			}
			return len(live) <= 1
		}, patience, time.Millisecond, "two live connections of one client")
		require.Len(t, live, 1)
		o, epoch := h.owner(live[0])
		require.NotNil(t, o)
		require.Equal(t, epoch, live[0].info.Epoch)
		for _, c := range in {
			c.Close(nil)
		}
		require.Zero(t, nodes[0].Clients()+nodes[1].Clients())
	}
}

// TestNewerOwnerDuringAClaim: the notice comes before the client is there to be
// told, from another node or from this one.
func TestNewerOwnerDuringAClaim(t *testing.T) {
	n := &Node{clients: map[string]*client{}, claims: map[string]*claims{}}
	c := &client{node: n, key: "k", kicked: make(chan error, 1)}
	done := n.claiming("k")
	n.mu.Lock()
	n.outdate("k", 7)
	n.mu.Unlock()
	n.install(c, 6, nil)
	require.ErrorIs(t, kicked(t, c), ErrTakenOver)
	require.Nil(t, n.find("k"))
	newer := &client{node: n, key: "k", kicked: make(chan error, 1)}
	n.install(newer, 8, nil)
	require.Same(t, newer, n.find("k"))
	require.Empty(t, newer.kicked)
	done()
	require.Empty(t, n.claims)
}

func TestLeaseLost(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	i := h.instance(n, "i", "")
	c := let(t, i, "car")
	require.NoError(t, c.Publish(t.Context(), Message{Topic: "x", Payload: []byte("1"), Confirm: true}))
	require.NoError(t, next(t, c).Err)
	old := n.held.Load()
	nodes, err := h.js.KeyValue(t.Context(), streams.Nodes)
	require.NoError(t, err)
	require.NoError(t, nodes.Purge(t.Context(), "a"))
	require.ErrorIs(t, kicked(t, c), ErrLeaseLost)
	require.Eventually(t, func() bool { return n.Ready() == nil }, patience, time.Millisecond)
	require.NotEqual(t, old.unique, n.held.Load().unique)

	// The node is well again, but this client may have another owner.
	wantKind(t, api.Unavailable, c.Publish(t.Context(), Message{Topic: "x", Payload: []byte("2")}))
	wantKind(t, api.Unavailable, c.PublishBatch(t.Context(), []Message{{Topic: "x"}}, 1))
	require.Equal(t, []string{"1"}, h.stored(streams.Data, "iot.x"))
	fresh := let(t, i, "car")
	require.NoError(t, fresh.Publish(t.Context(), Message{Topic: "x", Payload: []byte("3"), Confirm: true}))
	require.NoError(t, next(t, fresh).Err)
}

func TestNoClaimWithoutLease(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	i := h.instance(n, "i", "")
	js := n.JS
	_, err := Open(t.Context(), n.NodeConfig)
	require.ErrorIs(t, err, natsx.ErrHeld)

	require.NoError(t, n.held.Load().Release(t.Context()))
	_, err = letErr(t.Context(), i, "car")
	wantKind(t, api.Unavailable, err)
	require.Error(t, n.Ready())

	// An Open that fails gives its lease back.
	require.NoError(t, js.DeleteKeyValue(t.Context(), streams.Banned))
	c := n.NodeConfig
	c.ID = "b"
	_, err = Open(t.Context(), c)
	require.ErrorContains(t, err, streams.Banned)
	nodes, err := js.KeyValue(t.Context(), streams.Nodes)
	require.NoError(t, err)
	_, err = nodes.Get(t.Context(), "b")
	require.ErrorIs(t, err, jetstream.ErrKeyNotFound)
}

func TestClaimNeedsNATS(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	i := h.instance(n, "i", "")
	h.srv.Shutdown()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := letErr(ctx, i, "car")
	wantKind(t, api.Unavailable, err)
	require.Error(t, n.Ready())
	h.start()
	require.Eventually(t, func() bool { return n.Ready() == nil }, patience, time.Millisecond)
}

// TestTakeoverNoticeIsRepeated until the former owner's node has answered.
func TestTakeoverNoticeIsRepeated(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	i := h.instance(n, "i", "")
	var told atomic.Int32
	_, err := h.nc.Subscribe(streams.EdgeSubject("ghost", "kick", ">"), func(m *nats.Msg) {
		if told.Add(1) > 1 { // the first answer is lost
			_ = m.Respond([]byte("true"))
		}
	})
	require.NoError(t, err)
	require.NoError(t, h.nc.Flush())
	key := api.ClientKey{Proto: i.kind.Proto, Instance: "i", Client: "car"}.String()
	_, err = n.clientsKV.Create(t.Context(), key, encoded(t, api.Owner{Node: "ghost"}))
	require.NoError(t, err)
	c := let(t, i, "car")
	defer c.Close(nil)
	require.Eventually(t, func() bool { return told.Load() == 2 }, patience, time.Millisecond)
}
