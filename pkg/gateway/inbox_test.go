package gateway

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"sluice/pkg/subject"
	"sluice/streams"
)

func delivered(sub string, seq uint64, size int) Event {
	return Event{Kind: Delivered, Delivery: NewDelivery(sub, "t", &Inbound{Payload: make([]byte, size)}, nil).numbered(seq)}
}

func (d Delivery) numbered(seq uint64) Delivery {
	d.Seq = seq
	return d
}

func TestInboxCaps(t *testing.T) {
	b := inbox{wake: make(chan struct{}, 1)}
	for range 3 {
		require.True(t, b.offer(delivered("s", 0, 10), 3, 1000))
	}
	require.False(t, b.offer(delivered("s", 0, 10), 3, 1000), "too many")
	require.True(t, b.push(Event{Kind: Acked}), "acks are not bounded here")
	require.True(t, b.push(delivered("q", 7, 5000)), "nor what a window bounds")
	require.Equal(t, 5, b.len())
	require.Len(t, b.wake, 1)
	buf := b.take(nil)
	require.Len(t, buf, 5)
	require.Empty(t, b.take(nil))
	require.True(t, b.offer(delivered("s", 0, 936), 3, 1000), "1000 with what it weighs itself")
	require.False(t, b.offer(delivered("s", 0, 0), 3, 1000), "too large")
	require.Len(t, b.take(buf[:0]), 1)
	require.False(t, b.offer(delivered("s", 0, 937), 3, 1000))
}

func TestInboxRemove(t *testing.T) {
	b := inbox{wake: make(chan struct{}, 1)}
	b.push(Event{Kind: Acked, Tag: 1})
	for _, e := range []Event{delivered("a", 0, 100), delivered("b", 0, 50), delivered("a", 0, 1)} {
		require.True(t, b.offer(e, 3, 1<<20))
	}
	b.push(delivered("a", 9, 100))
	require.Len(t, b.remove("a"), 3)
	require.Equal(t, 1, b.count)
	require.Equal(t, 50+64, b.bytes)
	left := b.take(nil)
	require.Len(t, left, 2)
	require.Equal(t, Acked, left[0].Kind)
	require.Equal(t, "b", left[1].Delivery.Sub)
	require.Empty(t, b.remove("a"))
}

func TestInboxClose(t *testing.T) {
	b := inbox{wake: make(chan struct{}, 1)}
	for range 100 {
		b.push(delivered("q", 1, 0))
	}
	require.Len(t, b.close(), 100)
	require.False(t, b.push(Event{}))
	require.False(t, b.offer(delivered("s", 0, 0), 10, 1000))
	require.Empty(t, b.close())
	require.Empty(t, b.take(nil))
}

func TestInboxGivesABurstsMemoryBack(t *testing.T) {
	b := inbox{wake: make(chan struct{}, 1)}
	for range 100 {
		b.push(delivered("q", 1, 0))
	}
	b.take(nil)
	require.Nil(t, b.events)
	b.push(delivered("q", 1, 0))
	b.take(nil)
	require.NotZero(t, cap(b.events), "a small one is used again")
	require.Nil(t, b.events[:1][0].Delivery.Msg, "and holds no message")
}

func TestDelivery(t *testing.T) {
	var told []error
	d := NewDelivery("s", "t", newInbound("iot.a//b", nil, []byte("x")), func(err error) { told = append(told, err) })
	d.Done(ErrNack)
	require.Equal(t, []error{ErrNack}, told)
	Delivery{}.Done(nil) // of no effect
	m, err := subject.NewMount("iot/")
	require.NoError(t, err)
	c := &client{mount: m}
	require.Equal(t, "a.b", c.unmount(d.Msg)) // a dot in a topic
	require.Equal(t, "other/x", c.unmount(newInbound("other.x", nil, nil)))
}

// TestQoSOfAMessage: the door writes it, and nats-server for clients of its MQTT
// listener; an application that says nothing means 0.
func TestQoSOfAMessage(t *testing.T) {
	for _, c := range []struct {
		header nats.Header
		want   byte
	}{
		{nil, 0},
		{nats.Header{streams.HdrQoS: {"2"}}, 2},
		{nats.Header{streams.HdrMQTT: {"1"}}, 1},
		{nats.Header{streams.HdrMQTT: {"2"}, streams.HdrQoS: {"1"}}, 1},
		{nats.Header{streams.HdrMQTT: {"9"}}, 0},
	} {
		require.Equal(t, c.want, newInbound("iot.a", c.header, nil).QoS, c.header)
	}
}
