package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/pkg/subject"
	"sluice/services/session"
	"sluice/streams"
)

// sessions runs the session service.
func (h *house) sessions() {
	h.t.Helper()
	nc, js := h.dial()
	ctx, cancel := context.WithCancel(context.Background())
	s := session.New(session.Config{
		NC: nc, JS: js, Node: "sessions", Log: slog.New(slog.DiscardHandler),
		Retx: 300 * time.Millisecond, NakStep: 10 * time.Millisecond, Lost: -1,
	})
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	h.t.Cleanup(func() { cancel(); require.NoError(h.t, <-done) })
	require.NoError(h.t, s.Ready(ctx))
}

// playSession answers a verb of the session service, for every partition.
func playSession[Req any](h *house, verb string, got func(Req)) {
	h.t.Helper()
	sub, err := h.nc.Subscribe(streams.ServiceSubject("session", verb+".*"), func(m *nats.Msg) {
		r, err := natsx.Question[Req](m)
		if err == nil {
			got(r)
		}
		if m.Reply != "" {
			_ = natsx.Answer(m, struct{}{}, err)
		}
	})
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = sub.Unsubscribe() })
	require.NoError(h.t, h.nc.Flush())
}

func told(t testing.TB, asked <-chan api.UnsubscribeRequest) api.UnsubscribeRequest {
	t.Helper()
	select {
	case r := <-asked:
		return r
	case <-time.After(patience):
		require.FailNow(t, "the session service was not told")
		return api.UnsubscribeRequest{}
	}
}

func durable(window int) Subscription {
	return Subscription{ID: "d", Filter: "t/#", Durable: true, Window: window}
}

func (h *house) queued() uint64 { return h.count(streams.Queue, ">") }

func TestDurableIsAckedAfterTheDevice(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.sessions()
	i := h.instance(h.node("a"), "i", "")
	c := let(t, i, "c")
	require.NoError(t, c.Subscribe(t.Context(), durable(2)))
	require.True(t, c.Info().Subscriptions[0].Durable)
	for k := 1; k <= 3; k++ {
		_, err := h.js.Publish(t.Context(), "iot.t.x", []byte(strconv.Itoa(k)))
		require.NoError(t, err)
	}
	held := events(t, c, 2)
	require.Equal(t, "t/x", held[0].Delivery.Topic)
	time.Sleep(time.Second) // three repeats, none of which the device may see
	require.Empty(t, c.Take(nil))
	require.EqualValues(t, 3, h.queued())
	held[0].Delivery.Done(nil)
	await(t, c, "3") // held
	held[1].Delivery.Done(fmt.Errorf("%w: no room", ErrNack))
	again := await(t, c, "2")
	require.Greater(t, again.Attempt, 1)
	again.Done(nil)
	require.Eventually(t, func() bool { return h.queued() == 1 }, patience, 10*time.Millisecond)

	c.Close(ErrClosed)
	_, err := h.js.Publish(t.Context(), "iot.t.y", []byte("4")) // nobody is there
	require.NoError(t, err)
	c = let(t, i, "c")
	require.NoError(t, c.Subscribe(t.Context(), durable(2)))
	for k, e := range events(t, c, 2) {
		require.Equal(t, strconv.Itoa(3+k), string(e.Delivery.Msg.Payload))
		e.Delivery.Done(nil)
	}
	require.Eventually(t, func() bool { return h.queued() == 0 }, patience, 10*time.Millisecond)
	require.NoError(t, c.Unsubscribe(t.Context(), "d", true))
	require.NoError(t, c.Unsubscribe(t.Context(), "never", true)) // has none: is gone as asked
	require.Empty(t, c.Info().Subscriptions)
}

// await is the delivery of one message. A repeat of another that crossed its ack
// may come before, which at-least-once allows: it is acknowledged again.
func await(t testing.TB, c *client, body string) (found Delivery) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, e := range c.Take(nil) {
			if string(e.Delivery.Msg.Payload) == body {
				found = e.Delivery
				continue
			}
			require.Greater(t, e.Delivery.Attempt, 1, "%s is no repeat", e.Delivery.Msg.Payload)
			e.Delivery.Done(nil)
		}
		return found.Msg != nil
	}, patience, time.Millisecond)
	return found
}

// deliver plays the session service: one message, and its answer.
func (h *house) deliver(c *client, epoch, seq, prev uint64, id string) (answer string) {
	h.t.Helper()
	m := nats.NewMsg(streams.EdgeSubject(c.node.ID, "dn", c.key))
	m.Header.Set(streams.HdrEpoch, strconv.FormatUint(epoch, 10))
	m.Header.Set(streams.HdrSeq, strconv.FormatUint(seq, 10))
	m.Header.Set(streams.HdrPrev, strconv.FormatUint(prev, 10))
	m.Header.Set(streams.HdrAttempt, "1")
	m.Header.Set(streams.HdrSub, id)
	m.Header.Set(streams.HdrSubject, "iot.t.x")
	m.Data = []byte(strconv.FormatUint(seq, 10))
	r, err := h.nc.RequestMsg(m, 200*time.Millisecond)
	if err != nil {
		return ""
	}
	return string(r.Data)
}

func TestDeliveriesThatAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	asked := make(chan api.UnsubscribeRequest, 4)
	playSession(h, "subscribe", func(api.SubscribeRequest) {})
	playSession(h, "unsubscribe", func(r api.UnsubscribeRequest) { asked <- r })
	c := let(t, h.instance(h.node("a"), "i", ""), "c")
	require.NoError(t, c.Subscribe(t.Context(), durable(4)))
	require.NoError(t, c.Subscribe(t.Context(), plain("p", "x")))
	id, epoch := subject.Token("d"), c.info.Epoch

	require.Equal(t, api.DeliverGone, h.deliver(c, epoch-1, 1, 0, id), "a stale epoch")
	require.Equal(t, api.DeliverGone, h.deliver(c, epoch, 1, 0, "other"))
	require.Equal(t, api.DeliverGone, h.deliver(c, epoch, 1, 0, "=Z"))
	require.Equal(t, api.DeliverGone, h.deliver(c, epoch, 1, 0, subject.Token("p")), "not durable")
	require.Equal(t, api.DeliverGone, h.deliver(&client{node: c.node, key: "line.i.nobody"}, epoch, 1, 0, id))
	require.Equal(t, api.DeliverGap+" 0", h.deliver(c, epoch, 5, 4, id))
	require.Empty(t, c.Take(nil))

	require.Empty(t, h.deliver(c, epoch, 5, 0, id), "the device has not answered")
	require.Empty(t, h.deliver(c, epoch, 5, 0, id), "again, to another inbox")
	require.Len(t, c.Take(nil), 1, "but once to the device")
	require.Equal(t, api.DeliverGap+" 5", h.deliver(c, epoch, 9, 7, id))

	go func() { next(t, c).Delivery.Done(nil) }()
	require.Equal(t, api.DeliverAck, h.deliver(c, epoch, 6, 5, id))
	go func() {
		e := next(t, c)
		require.Equal(t, 2, e.Delivery.Attempt, "a new owner of the queue does not know, the edge does")
		e.Delivery.Done(nil)
	}()
	require.Equal(t, api.DeliverAck, h.deliver(c, epoch, 6, 0, id))
	go func() { next(t, c).Delivery.Done(ErrNack) }()
	require.Equal(t, api.DeliverNak, h.deliver(c, epoch, 7, 6, id))
	go func() { next(t, c).Delivery.Done(ErrSlow) }()
	require.Equal(t, api.DeliverGone, h.deliver(c, epoch, 8, 7, id))

	require.NoError(t, c.Unsubscribe(t.Context(), "d", false))
	require.Equal(t, api.UnsubscribeRequest{ClientKey: c.info.ClientKey, ID: "d", Epoch: epoch}, told(t, asked))
	require.Equal(t, api.DeliverGone, h.deliver(c, epoch, 9, 8, id))
	require.NoError(t, c.Subscribe(t.Context(), durable(4)))
	c.Close(nil)
	require.Equal(t, api.UnsubscribeRequest{ClientKey: c.info.ClientKey, Epoch: epoch}, told(t, asked), "all of them")
	require.Equal(t, api.DeliverGone, h.deliver(c, epoch, 9, 8, id))
}

func TestDurableWithoutSessionService(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := let(t, h.instance(h.node("a"), "i", ""), "c")
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	wantKind(t, api.Unavailable, c.Subscribe(ctx, durable(1)))
	require.Empty(t, c.Info().Subscriptions)
}

// TestDurableResumesOverALostLink: the session service ends delivery to a node
// that was away, and the device, which never was, must not wait for ever.
func TestDurableResumesOverALostLink(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	asked := make(chan api.SubscribeRequest, 8)
	playSession(h, "subscribe", func(r api.SubscribeRequest) { asked <- r })
	n := h.node("a")
	c := let(t, h.instance(n, "i", ""), "c")
	require.NoError(t, c.Subscribe(t.Context(), durable(4)))
	first := <-asked
	require.NoError(t, n.NC.ForceReconnect())
	select {
	case again := <-asked:
		require.Equal(t, first, again)
	case <-time.After(patience):
		require.FailNow(t, "not resumed", "%v %v %v", n.NC.Stats().Reconnects, n.NC.Status(), n.queues())
	}
	d := n.queues()[0]
	require.Eventually(t, func() bool { // the answer is here: without it the request is repeated
		free := d.talk.TryLock()
		if free {
			d.talk.Unlock()
		}
		return free
	}, patience, time.Millisecond)
	c.Close(nil)
	require.NoError(t, n.NC.ForceReconnect())
	time.Sleep(resumeCheck + 300*time.Millisecond)
	require.Empty(t, asked, "a client that is gone is not resumed")
}
