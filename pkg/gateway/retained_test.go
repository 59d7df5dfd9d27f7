package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

const plenty = 1 << 30

// keep has messages retained as the door does it, and waits until they are.
func (h *house) keep(subjectsAndBodies ...string) {
	h.t.Helper()
	for i := 0; i < len(subjectsAndBodies); i += 2 {
		m := nats.NewMsg(subjectsAndBodies[i])
		m.Data = []byte(subjectsAndBodies[i+1])
		_, err := h.js.PublishMsg(h.t.Context(), streams.RetainedMsg(m))
		require.NoError(h.t, err)
	}
}

// read is what is retained under filters, as "subject body".
func read(t testing.TB, n *Node, filters ...string) []string {
	t.Helper()
	all, cut, err := n.retained(t.Context(), filters, plenty, plenty)
	require.NoError(t, err)
	require.False(t, cut)
	return show(t, all)
}

func show(t testing.TB, all []*Inbound) (lines []string) {
	t.Helper()
	for _, in := range all {
		require.True(t, in.Retain)
		lines = append(lines, in.Subject+" "+string(in.Payload))
	}
	return lines
}

func TestRetainedReading(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	require.Empty(t, read(t, n, "iot.>"), "nothing is retained yet")

	h.keep("iot.a", "1", "iot.a.b", "2", "iot.a.b.c", "3", "iot.x.b", "4", "iot.a.b", "5", "other.a", "6")
	for _, c := range []struct {
		filters string
		want    string
	}{
		{"iot.a", "iot.a 1"},
		{"iot.a.b", "iot.a.b 5"}, // the last one wins
		{"iot.nope", ""},
		{"iot.*", "iot.a 1"},
		{"iot.*.b", "iot.x.b 4,iot.a.b 5"},
		{"iot.a.>", "iot.a.b.c 3,iot.a.b 5"}, // the stream's order
		{"iot.a iot.a.>", "iot.a 1,iot.a.b.c 3,iot.a.b 5"},
		{"iot.a.> iot.a", "iot.a 1,iot.a.b.c 3,iot.a.b 5"},
		{"iot.> iot.a.> iot.*.b iot.a.* iot.a.b", "iot.a 1,iot.a.b.c 3,iot.x.b 4,iot.a.b 5"},
		{">", "iot.a 1,iot.a.b.c 3,iot.x.b 4,iot.a.b 5,other.a 6"},
	} {
		require.Equal(t, c.want, strings.Join(read(t, n, strings.Fields(c.filters)...), ","), c.filters)
	}
}

// An empty message clears: at once for readers, and in the stream after a while.
func TestRetainedClear(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	h.keep("iot.a", "1", "iot.b", "2", "iot.a", "")
	require.Equal(t, []string{"iot.b 2"}, read(t, n, "iot.>"))
	require.Empty(t, read(t, n, "iot.a"))

	stone := h.messages(streams.Retained, "gw.ret.iot.a")
	require.Len(t, stone, 1)
	require.Equal(t, "60s", stone[0].Headers().Get(jetstream.MsgTTLHeader))
	require.Equal(t, "sub", stone[0].Headers().Get(jetstream.MsgRollup))

	h.keep("iot.a", "3")
	require.Equal(t, []string{"iot.b 2", "iot.a 3"}, read(t, n, "iot.>"))
	require.Empty(t, h.messages(streams.Retained, "gw.ret.iot.a")[0].Headers().Get(jetstream.MsgTTLHeader), "the next one stays")
}

// TestRetainedMany: more than the server looks up at once, and more than a page.
func TestRetainedMany(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	const topics = 3000
	var want []string
	for i := range topics {
		m := nats.NewMsg(fmt.Sprintf("iot.s%d.d%d", i%3, i))
		m.Data = fmt.Append(nil, i)
		_, err := h.js.PublishMsgAsync(streams.RetainedMsg(m))
		require.NoError(t, err)
		want = append(want, fmt.Sprintf("%s %d", m.Subject, i))
	}
	<-h.js.PublishAsyncComplete()
	h.keep("iot.s0.d0", "", "iot.s1.d1", "again")
	want = append(want[2:], "iot.s1.d1 again")

	require.Equal(t, want, read(t, n, "iot.>"))
	require.Equal(t, want, read(t, n, "iot.s2.>", "iot.>", "iot.*.*", "iot.s1.d1"), "in the stream's order, each once")
	require.Len(t, read(t, n, "iot.s2.*"), 1000, "some pages of one snapshot")
	require.Equal(t, want[len(want)-1:], read(t, n, "iot.s1.d1"))

	for _, filter := range []string{"iot.>", "iot.s2.>"} { // by either way
		all := read(t, n, filter)
		for _, limit := range []int{0, 1, 255, 256, 257, len(all) - 1} {
			some, cut, err := n.retained(t.Context(), []string{filter}, limit, plenty)
			require.NoError(t, err)
			require.True(t, cut)
			require.Len(t, some, limit)
			if limit > 0 {
				require.Equal(t, all[:limit], show(t, some))
			}
		}
		exact, cut, err := n.retained(t.Context(), []string{filter}, len(all), plenty)
		require.NoError(t, err)
		require.False(t, cut)
		require.Len(t, exact, len(all))
	}
}

// What is cleared takes no place of what is not.
func TestRetainedLimitCountsMessagesOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	for i := range pageCount + 10 {
		h.keep(fmt.Sprintf("iot.a.%d", i), "")
	}
	h.keep("iot.b", "1", "iot.c", "2")
	all, cut, err := n.retained(t.Context(), []string{"iot.>"}, 2, plenty)
	require.NoError(t, err)
	require.False(t, cut)
	require.Equal(t, []string{"iot.b 1", "iot.c 2"}, show(t, all))
}

func TestRetainedLimitOfBytes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	body := strings.Repeat("x", 400<<10)
	for i := range 8 { // some pages
		h.keep(fmt.Sprintf("iot.%d", i), body)
	}
	size := len(body) + weight(Event{Delivery: Delivery{Msg: &Inbound{}}})
	for want, limit := range map[int]int{0: size - 1, 1: size, 5: 6*size - 1, 8: 8 * size} {
		all, cut, err := n.retained(t.Context(), []string{"iot.*"}, plenty, limit)
		require.NoError(t, err)
		require.Equal(t, want < 8, cut)
		require.Len(t, all, want)
	}
}

func TestRetainedPublishAndSubscribe(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	i := h.instance(n, "i", "")
	c := let(t, i, "c")
	publish := func(body string, retain bool) {
		t.Helper()
		require.NoError(t, c.Publish(t.Context(), Message{Topic: "a/b", Payload: []byte(body), QoS: 1, Retain: retain, ID: "id" + body, Confirm: true, Tag: 1}))
		require.Equal(t, Event{Kind: Acked, Tag: 1}, next(t, c), "one answer")
	}
	live := let(t, i, "live")
	require.NoError(t, live.Subscribe(t.Context(), plain("s", "a/#")))
	publish("1", true)
	publish("2", false)
	require.Equal(t, []string{"1", "2"}, h.stored(streams.Data, "iot.>"), "all are messages too")
	require.Equal(t, []string{"1"}, h.stored(streams.Retained, "gw.ret.>"))
	for _, e := range events(t, live, 2) {
		require.False(t, e.Delivery.Msg.Retain, "who was there before gets a message like any")
	}
	ids := h.messages(streams.Retained, "gw.ret.>")[0].Headers()
	require.True(t, strings.HasSuffix(ids.Get(nats.MsgIdHdr), ".id1.ret"))
	require.Equal(t, "c", ids.Get(streams.HdrClient))

	late := let(t, i, "late")
	with := plain("s", "a/#")
	with.Retained = true
	require.NoError(t, late.Subscribe(t.Context(), with))
	d := next(t, late).Delivery
	require.True(t, d.Msg.Retain)
	require.Equal(t, "a/b", d.Topic)
	require.Equal(t, "s", d.Sub)
	require.EqualValues(t, 1, d.Msg.QoS)
	require.Equal(t, "1", string(d.Msg.Payload))
	d.Done(nil)

	publish("", true)
	require.Empty(t, next(t, late).Delivery.Msg.Payload, "those who are there see that it is cleared")
	other := let(t, i, "other")
	require.NoError(t, other.Subscribe(t.Context(), with))
	require.Zero(t, other.inbox.len())
}

// TestRetainedFillsNoMoreThanTheInbox: what is too much is told.
func TestRetainedFillsNoMoreThanTheInbox(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := let(t, h.instance(h.node("a"), "i", "max_pending: 3"), "c")
	for i := range 5 {
		h.keep(fmt.Sprintf("iot.%d", i), "x")
	}
	s := plain("s", "#")
	s.Retained = true
	require.NoError(t, c.Subscribe(t.Context(), s))
	require.Equal(t, 3, c.inbox.len())
	dropped := "gw.evt.line.i." + api.EventDropped + ".c"
	require.Eventually(t, func() bool { return h.count(streams.Events, dropped) == 1 }, patience, 10*time.Millisecond)
	require.Contains(t, h.stored(streams.Events, dropped)[0], "too_many_retained")

	require.NoError(t, c.Unsubscribe(t.Context(), "s", false))
	require.Zero(t, c.inbox.len())
	require.Zero(t, c.inbox.count, "the place is free again")
}

func TestRetainedNotRead(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	h.keep("iot.a", "1")
	require.NoError(t, h.js.DeleteStream(t.Context(), streams.Retained))
	all, cut, err := n.retained(t.Context(), []string{"iot.a"}, plenty, plenty)
	require.ErrorIs(t, err, nats.ErrNoResponders)
	require.Empty(t, all)
	require.False(t, cut)
}

// A NATS application that writes the server's own headers confuses nobody.
func TestRetainedForeignHeaders(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	m := nats.NewMsg("gw.ret.iot.a")
	m.Data = []byte("1")
	for name, v := range map[string]string{"Nats-Sequence": "77", "Nats-Subject": "gw.ret.iot.z", "Nats-Num-Pending": "9", "Status": "413"} {
		m.Header.Set(name, v)
	}
	_, err := h.js.PublishMsg(t.Context(), m)
	require.NoError(t, err)
	h.keep("iot.b", "2")
	require.Equal(t, []string{"iot.a 1", "iot.b 2"}, read(t, n, "iot.>"))
}
