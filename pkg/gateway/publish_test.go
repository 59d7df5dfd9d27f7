package gateway

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

func TestPublishDressesAMessage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	i := h.instance(h.node("a"), "i", `mountpoint: "iot/m/"`)
	c := let(t, i, "car\t7")
	props := []Prop{{"b", "1"}, {"a", "ü &="}, {"b", "2"}}
	for range 2 { // the second repeats the first's number
		require.NoError(t, c.Publish(t.Context(), Message{
			Topic: "a/b.c", Payload: []byte("hi"), QoS: 1, Retain: true, ContentType: "text/plain\r\nEvil: 1",
			Props: props, ID: "m1", Confirm: true, Tag: 42,
		}))
		e := next(t, c)
		require.Equal(t, Event{Kind: Acked, Tag: 42}, e)
	}
	all := h.messages(streams.Data, "iot.>")
	require.Len(t, all, 1)
	m := all[0]
	require.Equal(t, "iot.m.a.b//c", m.Subject())
	hd := m.Headers()
	for name, want := range map[string]string{
		streams.HdrProto: "line", streams.HdrInstance: "i", streams.HdrClient: "car=097", streams.HdrQoS: "1", streams.HdrRetain: "1",
		nats.MsgIdHdr: c.key + "." + strconv.FormatUint(c.info.Epoch, 36) + ".m1", "Evil": "", streams.HdrUser: "",
	} {
		require.Equal(t, want, hd.Get(name), name)
	}
	require.NotContains(t, hd.Get(streams.HdrContentType), "\n")
	in := newInbound(m.Subject(), hd, m.Data())
	require.Equal(t, props, in.Props)
	require.EqualValues(t, 1, in.QoS)
	require.False(t, in.Retain, "that its sender had it retained is no news to a subscriber")
	require.EqualValues(t, 2, c.Info().Stats.RecvMsg)
	n, window := c.Inflight()
	require.Zero(t, n)
	require.Equal(t, 256, window)
}

func TestPublishRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	i := h.instance(h.node("a"), "i", `mountpoint: ""
authorization: [{permission: deny, action: publish, topic: "iot/no"}, {permission: deny, action: publish, topic: "/queue/no"}, {permission: allow, action: all, topic: "iot/#"}, {permission: allow, action: all, topic: "/queue/#"}]`)
	c := let(t, i, "c")
	for _, x := range []struct {
		m    Message
		kind api.Kind
	}{
		{Message{Topic: "iot/no"}, api.Denied},
		{Message{Topic: "other"}, api.Denied},
		{Message{Topic: "iot/+"}, api.Invalid},
		{Message{Topic: ""}, api.Invalid},
		{Message{Topic: "gw/evt/x"}, api.Invalid},
		{Message{Topic: "$JS/API"}, api.Invalid},
		{Message{Topic: "iot/" + strings.Repeat("x", maxSubject)}, api.TooLarge},
		{Message{Topic: "no", Queue: true}, api.Denied},
		{Message{Topic: "a/*", Queue: true}, api.Invalid},
		{Message{Topic: "a b", Queue: true}, api.Invalid},
		{Message{Topic: strings.Repeat("x", 300), Queue: true}, api.Invalid},
	} {
		wantKind(t, x.kind, c.Publish(t.Context(), x.m))
		wantKind(t, x.kind, c.PublishBatch(t.Context(), []Message{{Topic: "iot/yes"}, x.m}, 1))
	}
	free := let(t, h.instance(c.node, "free", `mountpoint: ""`), "c")
	wantKind(t, api.Invalid, free.Publish(t.Context(), Message{Topic: "nowhere"})) // no stream has it
	wantKind(t, api.TooLarge, free.PublishBatch(t.Context(), make1001(), 1))
	n, _ := c.Inflight()
	require.Zero(t, n)
	require.Empty(t, c.Take(nil))
	require.Empty(t, h.stored(streams.Data, "iot.>"))
}

// TestBatchWithAMessageThatWasStoredAlone: "duplicate" said of one message must
// not pass for the whole batch.
func TestBatchWithAMessageThatWasStoredAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := let(t, h.instance(h.node("a"), "i", ""), "c")
	require.NoError(t, c.Publish(t.Context(), Message{Topic: "t", ID: "m1", Payload: []byte("1"), Confirm: true, Tag: 1}))
	require.Equal(t, Event{Kind: Acked, Tag: 1}, next(t, c))
	ms := []Message{{Topic: "t", ID: "m1", Payload: []byte("1")}, {Topic: "t", ID: "m2", Payload: []byte("2")}}
	require.NoError(t, c.PublishBatch(t.Context(), ms, 2))
	require.Equal(t, Event{Kind: Acked, Tag: 2}, next(t, c))
	require.Equal(t, []string{"1", "1", "2"}, h.stored(streams.Data, "iot.>"), "told stored: all of it is")
}

func make1001() (ms []Message) {
	for range maxBatch + 1 {
		ms = append(ms, Message{Topic: "iot/x"})
	}
	return ms
}

func TestPublishBatchOfTopicsAndQueues(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := let(t, h.instance(h.node("a"), "i", ""), "c")
	ms := []Message{{Topic: "t", Payload: []byte("1")}, {Topic: "q", Queue: true, Payload: []byte("2")}, {Topic: "t", Payload: []byte("3")}}
	require.NoError(t, c.PublishBatch(t.Context(), ms, 5))
	require.Equal(t, Event{Kind: Acked, Tag: 5}, next(t, c))
	require.Equal(t, []string{"1", "3"}, h.stored(streams.Data, "iot.>"))
	require.Equal(t, uint64(1), h.count(streams.Work, ">"))
	require.NoError(t, c.PublishBatch(t.Context(), nil, 6))
	require.Equal(t, Event{Kind: Acked, Tag: 6}, next(t, c))
	require.NoError(t, c.Publish(t.Context(), Message{Topic: "t"})) // unconfirmed: counted, not told
	require.NoError(t, c.node.pub.flush(t.Context()))
	require.Empty(t, c.Take(nil))
	require.EqualValues(t, 4, c.Info().Stats.RecvMsg)
}

// TestBatchesCountInflightOnce: whichever part is refused, the window opens by
// what was asked for.
func TestBatchesCountInflightOnce(t *testing.T) {
	n := &Node{pub: idle()}
	c := &client{node: n, inst: &Instance{conf: &InstanceConfig{}}, inbox: inbox{wake: make(chan struct{}, 1)}}
	c.inflight.Add(2)
	order := [][]*nats.Msg{{msg("gw.work.q", 1)}, {msg("iot.a", 2)}}
	require.NoError(t, c.batches(order, 2, 9))
	n.pub.mu.Lock()
	n.pub.closed = true // the second part is refused
	n.pub.mu.Unlock()
	n.pub.resolve(1, nil)
	e := next(t, c)
	require.EqualValues(t, 9, e.Tag)
	wantKind(t, api.Unavailable, e.Err)
	require.Zero(t, c.inflight.Load())
}

// TestLongestTopics: what the door lets through, NATS takes.
func TestLongestTopics(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := let(t, h.instance(h.node("a"), "i", ""), strings.Repeat(" ", maxClientID))
	topic := strings.Repeat("x", maxSubject-len("iot."))
	require.NoError(t, c.Subscribe(t.Context(), plain("s", topic)))
	require.NoError(t, c.Publish(t.Context(), Message{Topic: topic, Confirm: true}))
	for _, e := range events(t, c, 2) {
		require.NoError(t, e.Err)
	}
	require.Zero(t, c.node.NC.Stats().Reconnects)
	require.True(t, c.node.NC.IsConnected())
}

// TestUnconfirmedPublishThatIsLost is told, without a tag: the device may ask at
// its goodbye whether all is stored.
func TestUnconfirmedPublishThatIsLost(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	_, err := h.js.UpdateStream(t.Context(), jetstream.StreamConfig{
		Name: streams.Work, Subjects: []string{"gw.work.>"}, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew,
		DiscardNewPerSubject: true, MaxMsgsPerSubject: 1, AllowMsgTTL: true, AllowAtomicPublish: true, MaxConsumers: -1, AllowDirect: true,
	})
	require.NoError(t, err)
	c := let(t, h.instance(h.node("a"), "i", ""), "c")
	for range 2 {
		require.NoError(t, c.Publish(t.Context(), Message{Topic: "q", Queue: true}))
	}
	e := next(t, c)
	require.Equal(t, Acked, e.Kind)
	require.Zero(t, e.Tag)
	require.Equal(t, api.Busy, api.KindOf(e.Err))
	// The event comes first, so that whoever sees nothing in flight has it.
	require.Eventually(t, func() bool { n, _ := c.Inflight(); return n == 0 }, 10*time.Second, time.Millisecond)
}
