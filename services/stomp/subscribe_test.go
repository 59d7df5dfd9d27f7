package stomp

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/wire/stomp"
)

func TestSubscribeAsksTheDoor(t *testing.T) {
	for _, c := range []struct {
		headers []string
		want    gateway.Subscription
	}{
		{[]string{"id", "1", "destination", "a/+"}, gateway.Subscription{ID: "1", Filter: "a/+"}},
		{[]string{"id", "1", "destination", "/topic/a/>"}, gateway.Subscription{ID: "1", Filter: "a/>"}},
		{[]string{"id", "1", "destination", "/queue/q", "prefetch-count", "7"}, gateway.Subscription{ID: "1", Filter: "q", Queue: true, Window: 7}},
		{[]string{"id", "1", "destination", "a", "durable", "true"}, gateway.Subscription{ID: "1", Filter: "a", Durable: true}},
		{[]string{"id", "1", "destination", "a", "persistent", "true"}, gateway.Subscription{ID: "1", Filter: "a", Durable: true}},
		{[]string{"id", "1", "destination", "/queue/q", "durable", "true"}, gateway.Subscription{ID: "1", Filter: "q", Queue: true}},
	} {
		dialogue(t, func(r *rig) {
			r.connect("1.2", "client-id", "car")
			r.subscribe(c.headers...)
			require.Equal(r, []gateway.Subscription{c.want}, r.client().Subscriptions())
		})
	}
}

func TestSubscribeRefused(t *testing.T) {
	for _, c := range []struct {
		version string
		headers []string
		text    string
	}{
		{"1.2", []string{"id", "1"}, "needs a header destination"},
		{"1.2", []string{"destination", "a"}, "needs a header id"},
		{"1.1", []string{"destination", "a"}, "needs a header id"},
		{"1.2", []string{"id", "1", "destination", "a", "ack", "maybe"}, `ack mode "maybe"`},
		{"1.2", []string{"id", "1", "destination", "a", "ack", ""}, `ack mode ""`},
		{"1.0", []string{"destination", "a", "ack", "client-individual"}, "none of STOMP 1.0"},
		{"1.2", []string{"id", "1", "destination", "a", "selector", "x > 1"}, "selector is not supported"},
		{"1.2", []string{"id", "1", "destination", "a", "prefetch-count", "0"}, "prefetch-count"},
		{"1.2", []string{"id", "1", "destination", "a", "prefetch-count", "1001"}, "prefetch-count"},
		{"1.2", []string{"id", "1", "destination", "a", "prefetch-count", "x"}, "prefetch-count"},
		{"1.2", []string{"id", "1", "destination", "a", "durable", "true"}, "client-id in CONNECT"},
	} {
		dialogue(t, func(r *rig) {
			r.connect(c.version)
			r.send(stomp.CmdSubscribe, append(c.headers, "receipt", "s")...)
			require.Equal(r, "s", r.refused(c.text).Get("receipt-id"))
			require.Empty(r, r.client().Subscriptions())
		})
	}
	dialogue(t, func(r *rig) {
		r.connect("1.0", "client-id", "car")
		r.send(stomp.CmdSubscribe, "destination", "a", "durable", "true")
		r.refused("needs a header id")
	})
}

func TestSubscribeDenied(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.client().Deny(func(string, string) error { return api.Errorf(api.Denied, "authorize", "no") })
		r.send(stomp.CmdSubscribe, "id", "1", "destination", "/topic/x", "receipt", "s")
		require.Equal(r, "s", r.refused("Insufficient permissions for /topic/x").Get("receipt-id"))
	})
}

func TestSubscribeDuplicateID(t *testing.T) {
	for _, destination := range []string{"a", "b"} {
		dialogue(t, func(r *rig) {
			r.connect("1.2")
			r.subscribe("id", "1", "destination", "a")
			r.send(stomp.CmdSubscribe, "id", "1", "destination", destination)
			r.refused("subscription id 1 is in use")
		})
	}
	dialogue(t, func(r *rig) {
		r.connect("1.0")
		r.subscribe("destination", "a")
		r.send(stomp.CmdSubscribe, "destination", "a")
		r.refused("subscription id a is in use")
	})
}

func TestSubscribeSameDestinationTwice(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.subscribe("id", "1", "destination", "a")
		r.subscribe("id", "2", "destination", "/topic/a")
		r.client().Deliver("1", "a", gatewaytest.Text("x"))
		r.client().Deliver("2", "a", gatewaytest.Text("x"))
		one, two := r.next(), r.next()
		require.Equal(r, "1 a", one.Get("subscription")+" "+one.Get("destination"))
		require.Equal(r, "2 /topic/a", two.Get("subscription")+" "+two.Get("destination"))
		require.NotEqual(r, one.Get("message-id"), two.Get("message-id"))
	})
}

func TestSubscribeDoesNotStallTheRest(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2", "heart-beat", "0,10000")
		r.subscribe("id", "1", "destination", "a", "ack", "client")
		release := r.client().Hold()
		r.send(stomp.CmdSubscribe, "id", "2", "destination", "b", "receipt", "2")
		r.publish("held back", "destination", "c")
		o := r.client().Deliver("1", "a", gatewaytest.Text("x"))
		require.Equal(r, "x", string(r.next().Body))
		time.Sleep(25 * time.Second)
		require.Len(r, r.heartBeats(), 2)
		require.Empty(r, r.client().Published())
		outcome(t, o, 0, nil)
		release()
		r.receipt("2")
		synctest.Wait()
		require.Len(r, r.client().Published(), 1)
	})
}

func TestSubscribeTimeout(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.client().Hold()
		r.send(stomp.CmdSubscribe, "id", "2", "destination", "b", "receipt", "2")
		require.Equal(r, "2", r.refused("Cannot subscribe to b: the server does not answer").Get("receipt-id"))
	})
}

func TestUnsubscribe(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2", "client-id", "car")
		r.subscribe("id", "1", "destination", "a", "ack", "client", "prefetch-count", "1")
		held := r.client().Deliver("1", "a", gatewaytest.Text("x"))
		waits := r.client().Deliver("1", "a", gatewaytest.Text("y"))
		require.Equal(r, "x", string(r.next().Body))
		r.send(stomp.CmdUnsubscribe, "id", "1", "receipt", "u")
		r.receipt("u")
		require.Equal(r, []gatewaytest.Unsubscription{{ID: "1"}}, r.client().Unsubscriptions())
		outcome(t, held, 1, gateway.ErrClosed)
		outcome(t, waits, 1, gateway.ErrClosed)
		late := r.client().Deliver("1", "a", gatewaytest.Text("late"))
		outcome(t, late, 1, gateway.ErrClosed)
		r.nothing()
		r.subscribe("id", "1", "destination", "b") // the id is free again
	})
}

func TestUnsubscribeUnknown(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.send(stomp.CmdUnsubscribe, "id", "7", "receipt", "u")
		r.receipt("u")
		r.send(stomp.CmdUnsubscribe, "receipt", "v")
		require.Equal(r, "v", r.refused("needs a header id").Get("receipt-id"))
	})
}

func TestUnsubscribeByDestination(t *testing.T) {
	dialogue(t, func(r *rig) { // STOMP 1.0 "UNSUBSCRIBE"
		r.connect("1.0")
		r.subscribe("destination", "a")
		r.send(stomp.CmdUnsubscribe, "destination", "a", "receipt", "u")
		r.receipt("u")
		require.Equal(r, []gatewaytest.Unsubscription{{ID: "a"}}, r.client().Unsubscriptions())
	})
}

func TestUnsubscribeForgetsDurable(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2", "client-id", "car")
		r.send(stomp.CmdUnsubscribe, "id", "9", "durable", "true", "receipt", "u") // of an earlier connection
		r.receipt("u")
		r.subscribe("id", "1", "destination", "a", "durable", "true")
		r.send(stomp.CmdUnsubscribe, "id", "1", "durable", "true", "receipt", "v")
		r.receipt("v")
		require.Equal(r, []gatewaytest.Unsubscription{{ID: "9", Forget: true}, {ID: "1", Forget: true}}, r.client().Unsubscriptions())
	})
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.send(stomp.CmdUnsubscribe, "id", "9", "durable", "true")
		r.refused("client-id in CONNECT")
	})
}
