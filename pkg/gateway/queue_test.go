package gateway

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

func queue(window int) Subscription {
	return Subscription{ID: "q", Filter: "jobs", Queue: true, Window: window}
}

// work fills the queue "jobs" of mountpoint iot/.
func (h *house) work(from, to int) {
	h.t.Helper()
	for i := from; i <= to; i++ {
		_, err := h.js.Publish(h.t.Context(), streams.WorkSubject("iot/jobs"), []byte(strconv.Itoa(i)))
		require.NoError(h.t, err)
	}
}

// shop is a node with quick redelivery and an instance with two clients.
func (h *house) shop(text string) (a, b *client) {
	n := h.node("a")
	n.work = workTimes{ackWait: 1500 * time.Millisecond, extend: 300 * time.Millisecond}
	i := h.instance(n, "i", text)
	return let(h.t, i, "a"), let(h.t, i, "b")
}

func TestQueueGivesEachMessageToOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, b := h.shop("")
	for _, c := range []*client{a, b} {
		require.NoError(t, c.Subscribe(t.Context(), queue(4)))
	}
	h.work(1, 200)
	var got []int
	end := time.After(patience)
	for len(got) < 200 {
		var all []Event
		select {
		case <-a.Wake():
			all = a.Take(nil)
		case <-b.Wake():
			all = b.Take(nil)
		case <-end:
			require.FailNow(t, "too few", "%d", len(got))
		}
		require.LessOrEqual(t, len(all), 4, "the window")
		for _, e := range all {
			require.True(t, e.Delivery.Queue)
			require.Equal(t, "jobs", e.Delivery.Topic)
			require.Equal(t, 1, e.Delivery.Attempt)
			n, err := strconv.Atoi(string(e.Delivery.Msg.Payload))
			require.NoError(t, err)
			got = append(got, n)
			e.Delivery.Done(nil)
		}
	}
	slices.Sort(got)
	require.Len(t, slices.Compact(got), 200)
	require.Eventually(t, func() bool { return h.count(streams.Work, ">") == 0 }, patience, 10*time.Millisecond)
	require.EqualValues(t, 200, a.Info().Stats.SendMsg+b.Info().Stats.SendMsg)
}

func TestQueueWindow(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, _ := h.shop("")
	require.NoError(t, a.Subscribe(t.Context(), queue(3)))
	h.work(1, 10)
	held := events(t, a, 3)
	// Longer than AckWait: the device is slow, but it lives, and nobody else
	// gets what it works on, nor does it get it twice.
	time.Sleep(2500 * time.Millisecond)
	require.Empty(t, a.Take(nil))
	held[1].Delivery.Done(nil)
	e := next(t, a)
	require.Equal(t, "4", string(e.Delivery.Msg.Payload))
	require.Equal(t, 1, e.Delivery.Attempt)
	require.EqualValues(t, 1, a.Info().Stats.SendMsg)
}

func TestQueueOfALostSubscriberGoesOn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, b := h.shop("")
	require.NoError(t, a.Subscribe(t.Context(), queue(3)))
	h.work(1, 3)
	held := events(t, a, 3)
	require.NoError(t, b.Subscribe(t.Context(), queue(3)))
	require.NoError(t, a.Unsubscribe(t.Context(), "q", false))
	var got []string
	for _, e := range events(t, b, 3) {
		got = append(got, string(e.Delivery.Msg.Payload))
		require.Equal(t, 2, e.Delivery.Attempt)
	}
	require.Equal(t, numbers(1, 3), got, "in order")
	held[0].Delivery.Done(nil) // too late to count: b has it
	require.EqualValues(t, 3, h.count(streams.Work, ">"))
	b.Close(nil)
	require.NoError(t, a.Subscribe(t.Context(), queue(3)))
	for _, e := range events(t, a, 3) {
		require.Equal(t, 3, e.Delivery.Attempt)
	}
}

func TestQueueNackGoesToAnotherThenDies(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, b := h.shop("max_deliver: 2")
	require.NoError(t, a.Subscribe(t.Context(), queue(1)))
	h.work(1, 1)
	first := next(t, a).Delivery
	require.NoError(t, b.Subscribe(t.Context(), queue(1)))
	a.mu.Lock()
	a.subs["q"].queue.stop() // a takes no more: the other is who gets it
	a.mu.Unlock()
	first.Done(ErrNack)
	again := next(t, b).Delivery
	require.Equal(t, 2, again.Attempt)
	require.Equal(t, first.Seq, again.Seq)
	again.Done(ErrNack)
	h.wantDead(b.key, "nack", "1")
	require.Empty(t, b.Take(nil))
}

// wantDead waits for the dead letter and for the end of the original.
func (h *house) wantDead(key, reason, body string) {
	h.t.Helper()
	require.Eventually(h.t, func() bool { return h.count(streams.Work, ">") == 0 }, patience, 10*time.Millisecond)
	all := h.messages(streams.Dead, ">")
	require.Len(h.t, all, 1)
	require.Equal(h.t, streams.DeadSubject(reason, key), all[0].Subject())
	require.Equal(h.t, body, string(all[0].Data()))
	require.Equal(h.t, reason, all[0].Headers().Get(streams.HdrReason))
	require.Equal(h.t, streams.WorkSubject("iot/jobs"), all[0].Headers().Get(streams.HdrSubject))
}

// TestQueueDeathByDeliveries: every device that gets it goes away.
func TestQueueDeathByDeliveries(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, _ := h.shop("max_deliver: 2")
	require.NoError(t, a.Publish(t.Context(), Message{Topic: "jobs", Queue: true, Payload: []byte("bomb"), Confirm: true}))
	require.NoError(t, next(t, a).Err)
	for k := range 2 {
		require.NoError(t, a.Subscribe(t.Context(), queue(1)))
		require.Equal(t, k+1, next(t, a).Delivery.Attempt)
		require.NoError(t, a.Unsubscribe(t.Context(), "q", false))
	}
	require.NoError(t, a.Subscribe(t.Context(), queue(1)))
	h.wantDead(a.key, "max_deliver", "bomb")
}

// TestDeathWithHeadersOfNATS: what the publisher asked of the first stream is
// not asked of GW_DEAD, which would refuse the letter for ever.
func TestDeathWithHeadersOfNATS(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, _ := h.shop("max_deliver: 1")
	m := nats.NewMsg(streams.WorkSubject("iot/jobs"))
	m.Header.Set(jetstream.ExpectedStreamHeader, streams.Work)
	m.Header.Set("Colour", "red")
	m.Data = []byte("bomb")
	_, err := h.js.PublishMsg(t.Context(), m)
	require.NoError(t, err)
	require.NoError(t, a.Subscribe(t.Context(), queue(1)))
	next(t, a).Delivery.Done(ErrNack)
	h.wantDead(a.key, "nack", "bomb")
	letter := h.messages(streams.Dead, ">")[0].Headers()
	require.Equal(t, "red", letter.Get("Colour"))
	require.Empty(t, letter.Get(jetstream.ExpectedStreamHeader))
}

// TestDeadLetterNotStored: then the original stays, and comes again.
func TestDeadLetterNotStored(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, _ := h.shop("max_deliver: 1")
	require.NoError(t, a.Subscribe(t.Context(), queue(1)))
	h.work(1, 1)
	d := next(t, a).Delivery
	a.node.pub.mu.Lock()
	a.node.pub.closed = true
	a.node.pub.mu.Unlock()
	d.Done(ErrNack)
	time.Sleep(200 * time.Millisecond)
	require.EqualValues(t, 1, h.count(streams.Work, ">"))
	a.node.pub.mu.Lock()
	a.node.pub.closed = false
	a.node.pub.mu.Unlock()
	h.wantDead(a.key, "max_deliver", "1")
}

func TestQueueRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, _ := h.shop(`authorization: [{permission: deny, action: subscribe, topic: "/queue/jobs"}, {permission: allow, action: all, topic: "#"}]`)
	wantKind(t, api.Denied, a.Subscribe(t.Context(), queue(1)))
	wantKind(t, api.Invalid, a.Subscribe(t.Context(), Subscription{ID: "x", Filter: "a/#", Queue: true}))
	require.NoError(t, h.js.DeleteStream(t.Context(), streams.Work))
	wantKind(t, api.Unavailable, a.Subscribe(t.Context(), Subscription{ID: "x", Filter: "a", Queue: true}))
	require.Empty(t, a.Info().Subscriptions)
}
