package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
)

// say publishes as an application does and waits until the server has it.
func (h *house) say(subj string, bodies ...string) {
	h.t.Helper()
	for _, b := range bodies {
		require.NoError(h.t, h.nc.Publish(subj, []byte(b)))
	}
	require.NoError(h.t, h.nc.Flush())
}

func plain(id, filter string) Subscription { return Subscription{ID: id, Filter: filter} }

func TestOneSubscriptionForAThousandClients(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	i := h.instance(n, "i", "")
	before := n.NC.NumSubscriptions()
	var clients []*client
	var mu sync.Mutex
	var wg sync.WaitGroup
	for g := range 20 {
		wg.Go(func() {
			for k := range 50 {
				c, err := letErr(t.Context(), i, fmt.Sprintf("c-%d-%d", g, k))
				if err == nil {
					err = c.Subscribe(t.Context(), plain("s", "alarm"))
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				clients = append(clients, c)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Len(t, clients, 1000)
	require.Equal(t, before+1, n.NC.NumSubscriptions())
	require.EqualValues(t, 1, n.router.filters.Load())
	require.EqualValues(t, 1, n.Metrics.Snapshot("", "")["gw_subscriptions"])
	h.say("iot.alarm", "fire")
	for _, c := range clients {
		e := next(t, c)
		require.Equal(t, "fire", string(e.Delivery.Msg.Payload))
		require.Equal(t, "alarm", e.Delivery.Topic)
		e.Delivery.Done(nil)
	}
	for k, c := range clients {
		require.Equal(t, before+1, n.NC.NumSubscriptions(), k)
		c.Close(nil)
	}
	require.Zero(t, n.router.filters.Load())
	require.Equal(t, before, n.NC.NumSubscriptions())
}

func TestWildcardsAndOverlaps(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	c := let(t, h.instance(n, "i", ""), "c")
	for id, filter := range map[string]string{"exact": "a/b", "level": "+/b", "rest": "a/#", "all": "#", "twice": "a/b"} {
		require.NoError(t, c.Subscribe(t.Context(), plain(id, filter)))
	}
	got := func(n int) map[string]string {
		m := map[string]string{}
		for _, e := range events(t, c, n) {
			require.NotContains(t, m, e.Delivery.Sub, "each subscription gets it once")
			m[e.Delivery.Sub] = e.Delivery.Topic
			e.Delivery.Done(nil)
		}
		return m
	}
	h.say("iot.a.b", "x")
	require.Equal(t, map[string]string{"exact": "a/b", "level": "a/b", "rest": "a/b", "all": "a/b", "twice": "a/b"}, got(5))
	h.say("iot.a", "x") // "#" takes the parent too (MQTT 3.1.1 §4.7.1.2)
	require.Equal(t, map[string]string{"rest": "a", "all": "a"}, got(2))
	h.say("iot", "x") // is the mountpoint itself: not below it
	h.say("iot.q.b", "x")
	require.Equal(t, map[string]string{"level": "q/b", "all": "q/b"}, got(2))
	require.EqualValues(t, 9, c.Info().Stats.SendMsg)
	require.Len(t, c.Info().Subscriptions, 5)
}

// TestNothingAfterUnsubscribe: neither from the router nor from the inbox.
func TestNothingAfterUnsubscribe(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := let(t, h.instance(h.node("a"), "i", ""), "c")
	require.NoError(t, c.Subscribe(t.Context(), plain("stay", "t")))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for k := 0; ; k++ {
			select {
			case <-stop:
				return
			default:
				_ = h.nc.Publish("iot.t", []byte(strconv.Itoa(k)))
			}
		}
	})
	for range 50 {
		require.NoError(t, c.Subscribe(t.Context(), plain("s", "t")))
		<-c.Wake()
		require.NoError(t, c.Unsubscribe(t.Context(), "s", false))
		for range 3 {
			for _, e := range c.Take(nil) {
				require.Equal(t, "stay", e.Delivery.Sub)
			}
		}
	}
	close(stop)
	wg.Wait()
	wantKind(t, api.NotFound, c.Unsubscribe(t.Context(), "s", false))
}

// TestSlowClientLosesAlone: the other gets everything.
func TestSlowClientLosesAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	i := h.instance(n, "i", "max_pending: 10")
	slow, quick := let(t, i, "slow"), let(t, i, "quick")
	seen, err := h.nc.SubscribeSync("gw.evt.*.*.dropped.>")
	require.NoError(t, err)
	require.NoError(t, h.nc.Flush())
	for _, c := range []*client{slow, quick} {
		require.NoError(t, c.Subscribe(t.Context(), plain("s", "t")))
	}
	for k := range 100 {
		h.say("iot.t", strconv.Itoa(k))
		e := next(t, quick)
		require.Equal(t, strconv.Itoa(k), string(e.Delivery.Msg.Payload))
		e.Delivery.Done(nil)
	}
	for k, e := range events(t, slow, 10) {
		require.Equal(t, strconv.Itoa(k), string(e.Delivery.Msg.Payload), "the oldest are kept")
		e.Delivery.Done(ErrSlow)
	}
	require.EqualValues(t, 90, slow.Info().Stats.Dropped)
	require.Zero(t, slow.Info().Stats.SendMsg)
	require.EqualValues(t, 100, quick.Info().Stats.SendMsg)
	m, err := seen.NextMsg(patience)
	require.NoError(t, err)
	require.Contains(t, string(m.Data), "slow_device")
	var told uint64
	for told < 90 && err == nil { // each event tells what was dropped since the one before
		var e api.Event
		require.NoError(t, json.Unmarshal(m.Data, &e))
		told += e.Count
		m, err = seen.NextMsg(100 * time.Millisecond)
	}
	require.LessOrEqual(t, told, uint64(90), "counted twice")
	require.NotZero(t, told)
	h.say("iot.t", "later")
	require.Equal(t, "later", string(next(t, slow).Delivery.Msg.Payload))
}

func TestSubscribeRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	i := h.instance(n, "i", `max_subscriptions: 2
authorization: [{permission: deny, action: subscribe, topic: "secret"}, {permission: allow, action: all, topic: "#"}]`)
	c := let(t, i, "c")
	ctx := t.Context()
	wantKind(t, api.Denied, c.Subscribe(ctx, plain("s", "secret")))
	wantKind(t, api.Denied, c.Subscribe(ctx, plain("s", "secret/#"))) // its parent is denied
	wantKind(t, api.Invalid, c.Subscribe(ctx, plain("s", "a/#/b")))
	wantKind(t, api.Invalid, c.Subscribe(ctx, plain("s", "")))
	wantKind(t, api.TooLarge, c.Subscribe(ctx, plain("s", strings.Repeat("x", maxSubject))))
	wantKind(t, api.TooLarge, c.Subscribe(ctx, Subscription{ID: strings.Repeat("x", maxDurableID+1), Filter: "a", Durable: true}))
	require.NoError(t, c.Subscribe(ctx, plain("s", "a")))
	wantKind(t, api.Conflict, c.Subscribe(ctx, plain("s", "b")))
	require.NoError(t, c.Subscribe(ctx, plain("s2", "b")))
	wantKind(t, api.Busy, c.Subscribe(ctx, plain("s3", "c")))
	c.Close(nil)
	wantKind(t, api.Unavailable, c.Subscribe(ctx, plain("s4", "d")))
	require.Zero(t, n.router.filters.Load())
	other := let(t, i, "d")
	gone, cancel := context.WithCancel(ctx)
	cancel()
	wantKind(t, api.Unavailable, other.Subscribe(gone, plain("s", "z")))
	require.Zero(t, n.router.filters.Load())
}

// TestSubscriptionThatClosesMeanwhile: Close comes between Subscribe's steps.
func TestSubscriptionThatClosesMeanwhile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	i := h.instance(n, "i", "")
	for k := range 30 {
		c := let(t, i, "c"+strconv.Itoa(k))
		var wg sync.WaitGroup
		for _, s := range []Subscription{plain("p", "t/"+strconv.Itoa(k)), {ID: "q", Filter: "q", Queue: true}} {
			wg.Go(func() {
				if err := c.Subscribe(t.Context(), s); err != nil && api.KindOf(err) != api.Unavailable {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Duration(k%10) * 300 * time.Microsecond)
		c.Close(nil)
		wg.Wait()
	}
	require.Zero(t, n.router.filters.Load()) // pull goroutines that stay are goleak's to find
}

// TestRouterSurvivesForeignHeaders: any NATS application may write them.
func TestRouterSurvivesForeignHeaders(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := let(t, h.instance(h.node("a"), "i", ""), "c")
	require.NoError(t, c.Subscribe(t.Context(), plain("s", "t")))
	for value, qos := range map[string]byte{"": 0, "1": 1, "2": 2, "7": 0, "-": 0, "11": 0} {
		m := nats.NewMsg("iot.t")
		m.Header["Gw-Qos"] = []string{value}
		m.Header["Gw-Retain"] = []string{""}
		m.Header["Gw-Props"] = []string{"%zz=1&a=b"}
		require.NoError(t, h.nc.PublishMsg(m))
		in := next(t, c).Delivery.Msg
		require.Equal(t, qos, in.QoS, "%q", value)
		require.Equal(t, []Prop{{"a", "b"}}, in.Props)
		require.False(t, in.Retain)
	}
}
