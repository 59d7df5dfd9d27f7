package mqttsn

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/wire/mqttsn"
)

type panicDoor struct{}

func (panicDoor) Connect(context.Context, gateway.Hello) (gateway.Client, error) { panic("fault") }

// numbered is a message of the session's queue.
func numbered(seq uint64) gatewaytest.Mark { return gatewaytest.Numbered(seq, false, 1) }

func TestCodesOfAllKinds(t *testing.T) {
	want := map[api.Kind]mqttsn.ReturnCode{
		api.Denied: mqttsn.NotSupported, api.Invalid: mqttsn.NotSupported, api.NotFound: mqttsn.InvalidTopicID, api.Conflict: mqttsn.Congestion,
		api.TooLarge: mqttsn.NotSupported, api.Busy: mqttsn.Congestion, api.Unavailable: mqttsn.Congestion, api.Internal: mqttsn.Congestion,
	}
	for _, k := range api.Kinds() {
		require.Contains(t, want, k)
		require.Equal(t, want[k], codeFor(api.Errorf(k, "x", "y")), k.String())
	}
	require.Equal(t, mqttsn.Accepted, codeFor(nil))
	require.Equal(t, mqttsn.Congestion, codeFor(errors.New("a fault of ours")))
}

func TestFarewells(t *testing.T) {
	require.ErrorIs(t, farewell(gateway.ErrLeaseLost), gateway.ErrLeaseLost)
	require.ErrorIs(t, farewell(errors.New("x")), gateway.ErrShutdown)
	require.ErrorIs(t, farewell(nil), gateway.ErrShutdown)
	for why, want := range map[error]bool{
		nil: false, gateway.ErrAsleep: false, gateway.ErrShutdown: false, gateway.ErrLeaseLost: false,
		gateway.ErrKeepalive: true, gateway.ErrTakenOver: true, gateway.ErrKicked: true, gateway.ErrNoAck: true, gateway.ErrClosed: true,
	} {
		require.Equal(t, want, bequeaths(why), "%v", why)
	}
}

func TestMatches(t *testing.T) {
	for _, x := range []struct {
		filter, topic string
		want          bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a/b", "a/b", true}, {"a/b", "a", false}, {"a", "a/b", false},
		{"+", "a", true}, {"+", "a/b", false}, {"a/+", "a/b", true}, {"a/+", "a", false}, {"a/+/c", "a/b/c", true}, {"a/*/c", "a/b/d", false},
		{"#", "a/b/c", true}, {"a/#", "a/b/c", true}, {"a/#", "a", true}, {"a/>", "a", true}, {"a/#", "b", false}, {"a//b", "a//b", true}, {"+/+", "/a", true},
	} {
		require.Equal(t, x.want, matches(x.filter, x.topic), "%s %s", x.filter, x.topic)
	}
}

func TestTopicsAreReused(t *testing.T) {
	ts := &topics{}
	free := func(uint16) bool { return false }
	for i := range 40 {
		id, e, ok := ts.add(name(i), 40, free)
		require.True(t, ok)
		require.Equal(t, uint16(firstTopicID+i), id)
		e.known, e.own = true, i%2 == 1
	}
	for i := range 40 {
		id, e := ts.find(name(i))
		require.Equal(t, uint16(firstTopicID+i), id)
		require.Equal(t, name(i), e.name)
	}
	id, e, ok := ts.add("new", 40, func(id uint16) bool { return id == firstTopicID+1 })
	require.True(t, ok)
	require.Equal(t, uint16(firstTopicID+3), id, "the first that the gateway has begun, and that is not in use")
	require.False(t, e.known)
	_, e = ts.find(name(3))
	require.Nil(t, e)
	_, known := ts.name(id)
	require.False(t, known)
	_, _, ok = ts.add("no", 40, func(uint16) bool { return true })
	require.False(t, ok)
	for _, id := range []uint16{0, 1, firstTopicID - 1, firstTopicID + 40, 0xFFFF} {
		_, ok := ts.name(id)
		require.False(t, ok)
	}
}

func name(i int) string { return "t/" + string(rune('A'+i)) }

func TestMemoryOfOtherVersions(t *testing.T) {
	for _, text := range []string{"", "no json", `{"v":2,"sleep":5}`, `{"v":1,"topics":{"x":"y"}}`} {
		require.Zero(t, recall([]byte(text)), text)
	}
	m := recall([]byte(`{"v":1,"sleep":5,"topics":{"1025":"a","3":"low","2000":"high","1027":"c","1030":""},"held":[3],"future":1}`))
	require.Equal(t, uint16(5), m.Nap)
	ts := m.topics(10)
	require.Len(t, ts.list, 3)
	for id, want := range map[uint16]string{1025: "a", 1027: "c"} {
		got, ok := ts.name(id)
		require.True(t, ok)
		require.Equal(t, want, got)
	}
	_, ok := ts.name(1026)
	require.False(t, ok)
	require.Equal(t, released, m.inbound().judge(3, 2, true, 0))
}

func TestMemoryIsBounded(t *testing.T) {
	ts := &topics{}
	long := make([]byte, maxTopicName-4)
	for i := range 200 {
		_, e, _ := ts.add(name(i)+string(long), 1000, nil)
		e.known = true
	}
	require.Less(t, len(ts.remember()), 70)
}

// idleDoor lets everybody in, at next to no cost.
type idleDoor struct {
	mu      sync.Mutex
	clients []*idleClient
}

func (d *idleDoor) Connect(_ context.Context, h gateway.Hello) (gateway.Client, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &idleClient{hello: h}
	d.clients = append(d.clients, c)
	return c, nil
}

// idleClient has nothing of a client but one message of QoS 0, once.
type idleClient struct {
	gateway.Client
	hello   gateway.Hello
	arrived bool
}

func (c *idleClient) Session() gateway.Session                              { return gateway.Session{} }
func (c *idleClient) Kicked() <-chan error                                  { return nil }
func (c *idleClient) Inflight() (n, window int)                             { return 0, 1 }
func (c *idleClient) Close(error)                                           {}
func (c *idleClient) Publish(context.Context, gateway.Message) error        { return nil }
func (c *idleClient) Subscribe(context.Context, gateway.Subscription) error { return nil }

func (c *idleClient) Take(buf []gateway.Event) []gateway.Event {
	if c.arrived {
		c.arrived = false
		d := gateway.NewDelivery("a/b", "a/b", &gateway.Inbound{Payload: []byte("x")}, nil)
		buf = append(buf, gateway.Event{Kind: gateway.Delivered, Delivery: d})
	}
	return buf
}
