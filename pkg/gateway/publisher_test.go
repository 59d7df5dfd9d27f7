package gateway

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/metrics"
	"sluice/streams"
)

func msg(subj string, n int) *nats.Msg {
	return &nats.Msg{Subject: subj, Data: []byte(strconv.Itoa(n))}
}

// outcomes counts what became of publishes: each is told exactly once.
type outcomes struct {
	mu   sync.Mutex
	told map[int][]error
	wg   sync.WaitGroup
}

func (o *outcomes) of(n int) func(error) {
	o.wg.Add(1)
	return func(err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.told == nil {
			o.told = map[int][]error{}
		}
		if o.told[n] = append(o.told[n], err); len(o.told[n]) == 1 {
			o.wg.Done()
		}
	}
}

// all waits for an outcome of each and returns the first errors.
func (o *outcomes) all(t testing.TB) map[int]error {
	t.Helper()
	done := make(chan struct{})
	go func() { o.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(2 * patience):
		require.FailNow(t, "publishes without an outcome")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	first := map[int]error{}
	for n, errs := range o.told {
		require.Len(t, errs, 1, "message %d was told more than once", n)
		first[n] = errs[0]
	}
	return first
}

func numbers(from, to int) (s []string) {
	for i := from; i <= to; i++ {
		s = append(s, strconv.Itoa(i))
	}
	return s
}

func TestPublisherKeepsOrderOverAnOutage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.publisher()
	var o outcomes
	publish := func(from, to int) {
		for i := from; i <= to; i++ {
			require.NoError(t, p.publish(msg("iot.a", i), true, o.of(i)))
		}
	}
	publish(1, 500)
	down := make(chan struct{})
	go func() { h.srv.Shutdown(); close(down) }()
	publish(501, 1000) // some before, some while it goes down
	<-down
	publish(1001, 1500)
	h.start()
	publish(1501, 2000)
	for n, err := range o.all(t) {
		require.NoError(t, err, n)
	}
	require.Equal(t, numbers(1, 2000), h.stored(streams.Data, "iot.a"))
	require.Zero(t, p.pending())
}

// TestPublisherLinkLostUnnoticed: nothing is published while the connection is
// away, so no publish fails; what follows must still not overtake what was lost.
func TestPublisherLinkLostUnnoticed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.publisher()
	var o outcomes
	n := 0
	for range 5 {
		for range 200 {
			n++
			require.NoError(t, p.publish(msg("iot.a", n), true, o.of(n)))
		}
		before := p.nc.Stats().Reconnects
		require.NoError(t, p.nc.ForceReconnect())
		require.Eventually(t, func() bool { return p.nc.Stats().Reconnects > before && p.nc.IsConnected() }, patience, time.Millisecond)
	}
	for i, err := range o.all(t) {
		require.NoError(t, err, i)
	}
	require.Equal(t, numbers(1, n), h.stored(streams.Data, "iot.a"))
}

func TestPublisherUnconfirmedIsNeverSentTwice(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.publisher(func(p *publisher) { p.ackWait = time.Nanosecond }) // every ack is late: all is sent again
	var o outcomes
	for i := range 2000 {
		require.NoError(t, p.publish(msg("iot.a", i), i%2 == 0, o.of(i)))
	}
	seen := map[string]int{}
	for i, err := range o.all(t) {
		if i%2 == 0 {
			require.NoError(t, err, i)
		}
	}
	for _, body := range h.stored(streams.Data, "iot.a") {
		seen[body]++
		require.Equal(t, 1, seen[body], body)
	}
	require.Len(t, seen, 2000)
}

func TestPublisherBusyAboveItsCaps(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.publisher()
	p.mu.Lock()
	p.holding, p.links = true, p.nc.Stats().Reconnects
	p.next = p.first + maxUnacked - 1
	p.mu.Unlock()
	h.srv.Shutdown()
	defer h.start()
	require.NoError(t, p.publish(msg("iot.a", 1), true, func(error) {}))
	wantKind(t, api.Busy, p.publish(msg("iot.a", 2), true, nil))

	q := idle()
	big := make([]byte, maxUnackedBytes/2)
	require.NoError(t, q.publish(&nats.Msg{Subject: "iot.a", Data: big}, true, nil))
	wantKind(t, api.Busy, q.publish(&nats.Msg{Subject: "iot.a", Data: big}, true, nil))
	q.expire(time.Now().Add(2 * q.giveUp))
	require.NoError(t, q.publish(&nats.Msg{Subject: "iot.a", Data: big}, true, nil), "what was given up takes no room")
}

// idle is a publisher that sends nothing and has no clock.
func idle() *publisher {
	return &publisher{first: 1, next: 1, holding: true, giveUp: confirmTimeout, nc: new(nats.Conn), prefix: "x."}
}

func TestPublisherTellsPermanentErrors(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.publisher()
	huge := make([]byte, p.nc.MaxPayload())
	var o outcomes
	require.NoError(t, p.publish(msg("iot.a", 1), true, o.of(1)))
	require.NoError(t, p.publish(&nats.Msg{Subject: "iot.a", Data: append(huge, 1)}, true, o.of(2)))
	require.NoError(t, p.publish(msg("iot.a", 3), true, o.of(3)))
	told := o.all(t)
	require.NoError(t, told[1])
	wantKind(t, api.TooLarge, told[2])
	require.NoError(t, told[3])
	batch := []*nats.Msg{msg("iot.a", 4), {Subject: "iot.a", Data: huge}, msg("iot.a", 5)}
	wantKind(t, api.TooLarge, p.publishBatch(batch, o.of(9)))
	require.Equal(t, []string{"1", "3"}, h.stored(streams.Data, "iot.a"))
	require.Zero(t, p.pending())
}

func TestPublisherBatchIsAllOrNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.publisher()
	batch := func(subj string, from, to int) (ms []*nats.Msg) {
		for i := from; i <= to; i++ {
			ms = append(ms, msg(subj, i))
		}
		return ms
	}
	var o outcomes
	require.NoError(t, p.publishBatch(batch("iot.a", 1, 1000), o.of(1)))
	require.NoError(t, p.publishBatch(batch("iot.a", 1, 1001), o.of(3)))
	require.NoError(t, p.publishBatch(batch("iot.b", 7, 7), o.of(4)))
	told := o.all(t)
	require.Equal(t, numbers(1, 1000), h.stored(streams.Data, "iot.a"))
	require.Equal(t, []string{"7"}, h.stored(streams.Data, "iot.b"))
	require.NoError(t, told[1])
	wantKind(t, api.Busy, told[3])
	require.NoError(t, told[4])
}

// TestPublisherBatchAgain: the ack of a batch is lost, and the batch sent again.
func TestPublisherBatchAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.publisher()
	require.NoError(t, p.sub.Unsubscribe()) // no ack arrives
	require.NoError(t, p.nc.Flush())
	var o outcomes
	require.NoError(t, p.publishBatch([]*nats.Msg{msg("iot.a", 1), msg("iot.a", 2)}, o.of(1)))
	require.Eventually(t, func() bool { return len(h.stored(streams.Data, "iot.a")) == 2 }, patience, 5*time.Millisecond)
	sub, err := p.nc.Subscribe(p.prefix+"*", p.onAck)
	require.NoError(t, err)
	p.mu.Lock()
	p.sub, p.holding = sub, true
	p.mu.Unlock()
	require.NoError(t, o.all(t)[1])
	require.Equal(t, numbers(1, 2), h.stored(streams.Data, "iot.a"))
}

// TestPublisherBatchCutInTwo: a link was lost in the middle of a batch.
func TestPublisherBatchCutInTwo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.publisher()
	var o outcomes
	p.mu.Lock()
	p.holding = true
	p.mu.Unlock()
	batch := []*nats.Msg{msg("iot.a", 1), msg("iot.a", 2), msg("iot.a", 3)}
	require.NoError(t, p.publishBatch(batch, o.of(1)))
	p.mu.Lock()
	require.NoError(t, p.nc.PublishMsg(batch[0])) // the server has the beginning already
	p.mu.Unlock()
	require.NoError(t, o.all(t)[1])
	require.Equal(t, numbers(1, 3), h.stored(streams.Data, "iot.a"))
}

func TestPublisherGivesUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.publisher(func(p *publisher) { p.giveUp = 100 * time.Millisecond })
	h.srv.Shutdown()
	defer h.start()
	var o outcomes
	for i := range 3 {
		require.NoError(t, p.publish(msg("iot.a", i), i != 1, o.of(i)))
	}
	for _, err := range o.all(t) {
		wantKind(t, api.Unavailable, err)
	}
	require.Zero(t, p.pending())
	require.Zero(t, p.bytes)
}

func TestPublisherFlushAndClose(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.publisher()
	var done atomic.Int32
	for i := range 500 {
		require.NoError(t, p.publish(msg("iot.a", i), true, func(error) { done.Add(1) }))
	}
	require.NoError(t, p.flush(t.Context()))
	require.Eventually(t, func() bool { return done.Load() == 500 }, patience, time.Millisecond)
	h.srv.Shutdown()
	defer h.start()
	var o outcomes
	require.NoError(t, p.publish(msg("iot.a", 500), true, o.of(1)))
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no time")
	cancel(why)
	require.ErrorIs(t, p.flush(ctx), why)
	p.close()
	wantKind(t, api.Unavailable, o.all(t)[1])
	wantKind(t, api.Unavailable, p.publish(msg("iot.a", 501), true, nil))
}

// TestPublisherBelievesOnlyTheStream: any NATS application may subscribe to a
// device's topic and answer. Its answer is not the stream's.
func TestPublisherBelievesOnlyTheStream(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"ok", "", `{"ok":true}`, `{"stream":"MINE","seq":1}`, `{"stream":"GW_DATA"}`} {
		h := newHouse(t)
		p := h.publisher(func(p *publisher) { p.giveUp = 100 * time.Millisecond })
		var asked atomic.Int32
		_, err := h.nc.Subscribe("nowhere.a", func(m *nats.Msg) { asked.Add(1); _ = m.Respond([]byte(answer)) })
		require.NoError(t, err)
		require.NoError(t, h.nc.Flush())
		var o outcomes
		require.NoError(t, p.publish(msg("nowhere.a", 1), true, o.of(1)))
		require.Equal(t, api.Unavailable, api.KindOf(o.all(t)[1]), "%q was taken for an acknowledgement", answer)
		require.EqualValues(t, 1, asked.Load(), "%q was taken for the word of the server", answer)
	}
}

// TestPublisherGauges: operators see what waits, and how often it was sent again.
func TestPublisherGauges(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	m := metrics.New("1.0.0")
	p := h.publisher(func(p *publisher) { p.metrics, p.giveUp = m, patience })
	figure := func(name string) float64 { return m.Snapshot("", "")[name] }
	var o outcomes
	require.NoError(t, p.publish(msg("nowhere.a", 1), true, o.of(1))) // no stream: sent again until it expires
	require.Eventually(t, func() bool { return figure("gw_publish_pending") == 1 && figure("gw_retries_total") > 0 }, patience, time.Millisecond)
	p.expire(time.Now().Add(2 * patience))
	require.Error(t, o.all(t)[1])
	require.Eventually(t, func() bool { return figure("gw_publish_pending") == 0 }, patience, time.Millisecond)
}
