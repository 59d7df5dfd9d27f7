package management

import (
	"bytes"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

func keyOf(inst, id string) api.ClientKey {
	return api.ClientKey{Proto: "stomp", Instance: inst, Client: id}
}

// store puts a message into a stream; header is names and values.
func (h *house) store(t *testing.T, subj, body string, header ...string) uint64 {
	t.Helper()
	m := nats.NewMsg(subj)
	m.Data = []byte(body)
	for i := 0; i < len(header); i += 2 {
		m.Header.Set(header[i], header[i+1])
	}
	ack, err := h.js.PublishMsg(t.Context(), m)
	require.NoError(t, err)
	return ack.Sequence
}

func TestQueueList(t *testing.T) {
	h := open(t)
	list := func(r ListQueues) WaitingPage {
		p, err := call[ListQueues, WaitingPage](t, h, "queue.list", r)
		require.NoError(t, err)
		return p
	}
	require.Equal(t, WaitingPage{Data: []Waiting{}}, list(ListQueues{}))
	car, odd, other := keyOf("default", "car-7"), keyOf("default", "a b.c"), keyOf("two", "car-7")
	h.store(t, car.QueueSubject("q"), "1")
	h.store(t, car.QueueSubject("sub 1"), "2")
	h.store(t, car.QueueSubject("sub 1"), "3")
	h.store(t, odd.QueueSubject("q"), "4")
	h.store(t, other.QueueSubject("q"), "5")
	all := list(ListQueues{})
	require.Equal(t, 3, all.Count)
	require.Equal(t, []Waiting{
		{ClientKey: odd, Waiting: 1, Queues: map[string]uint64{"q": 1}},
		{ClientKey: car, Waiting: 3, Queues: map[string]uint64{"q": 1, "sub 1": 2}},
		{ClientKey: other, Waiting: 1, Queues: map[string]uint64{"q": 1}},
	}, all.Data)
	require.Equal(t, all.Data[2:], list(ListQueues{Gateway: "stomp.two"}).Data)
	require.Equal(t, all.Data, list(ListQueues{Gateway: "stomp"}).Data)
	require.Empty(t, list(ListQueues{Gateway: "coap"}).Data)
	first := list(ListQueues{Limit: 2})
	require.Equal(t, all.Data[:2], first.Data)
	second := list(ListQueues{Limit: 2, After: first.Next})
	require.Equal(t, all.Data[2:], second.Data)
	require.Empty(t, second.Next)
	for _, r := range []ListQueues{{Gateway: "stomp."}, {Limit: -1}, {Limit: 1001}} {
		_, err := call[ListQueues, WaitingPage](t, h, "queue.list", r)
		require.Equal(t, api.Invalid, api.KindOf(err), "%+v", r)
	}
	require.Empty(t, h.audited(t), "to look is no change")
}

func TestQueueShow(t *testing.T) {
	h := open(t)
	show := func(r ShowQueue) QueuePage {
		t.Helper()
		p, err := call[ShowQueue, QueuePage](t, h, "queue.show", r)
		require.NoError(t, err)
		return p
	}
	car := keyOf("default", "car-7")
	long := string(bytes.Repeat([]byte("x"), glance+1))
	h.store(t, car.QueueSubject("q"), "hello", streams.HdrSubject, "iot.a.b", jetstream.MsgTTLHeader, "3600s")
	h.store(t, keyOf("default", "car-70").QueueSubject("q"), "not mine")
	h.store(t, car.QueueSubject("s.1"), long)
	p := show(ShowQueue{Client: "car-7"})
	require.Equal(t, car, p.ClientKey)
	require.Equal(t, uint64(2), p.Count)
	require.Len(t, p.Data, 2)
	m := p.Data[0]
	require.Equal(t, QueueMessage{Seq: 1, Queue: "q", Topic: "iot.a.b", Size: 5, At: m.At, Expires: m.At.Add(time.Hour), Body: []byte("hello")}, m)
	require.WithinDuration(t, time.Now(), m.At, time.Minute)
	m = p.Data[1]
	require.Equal(t, QueueMessage{Seq: 3, Queue: "s.1", Size: glance + 1, At: m.At, Body: []byte(long[:glance])}, m)
	require.Equal(t, long, string(show(ShowQueue{Client: "car-7", Body: true}).Data[1].Body))
	first := show(ShowQueue{Client: "car-7", Limit: 1})
	require.Equal(t, uint64(1), first.Next)
	second := show(ShowQueue{Client: "car-7", Limit: 1, After: first.Next})
	require.Equal(t, uint64(3), second.Data[0].Seq)
	require.Zero(t, second.Next)
}

func TestQueueShowFitsAMessage(t *testing.T) {
	h := open(t)
	car := keyOf("default", "car-7")
	big := int(h.nc.MaxPayload()) - 1024
	for i := range 3 {
		h.store(t, car.QueueSubject("q"), string(bytes.Repeat([]byte(strconv.Itoa(i)), big)))
	}
	var seqs []uint64
	for r := (ShowQueue{Client: "car-7", Body: true}); ; {
		p, err := call[ShowQueue, QueuePage](t, h, "queue.show", r)
		require.NoError(t, err)
		for _, m := range p.Data {
			require.Equal(t, big, m.Size)
			require.NotEmpty(t, m.Body)
			require.Less(t, len(m.Body), m.Size)
			seqs = append(seqs, m.Seq)
		}
		if r.After = p.Next; r.After == 0 {
			break
		}
	}
	require.Equal(t, []uint64{1, 2, 3}, seqs)
}

func TestQueuePurge(t *testing.T) {
	h := open(t)
	purge := func(r PurgeQueue) (Purged, error) { return call[PurgeQueue, Purged](t, h, "queue.purge", r) }
	car, other, near := keyOf("default", "car-7"), keyOf("two", "car-7"), keyOf("default", "car-70")
	for _, subj := range []string{car.QueueSubject("q"), car.QueueSubject("s"), car.QueueSubject("s"), other.QueueSubject("q"), near.QueueSubject("q")} {
		h.store(t, subj, "x")
	}
	_, err := purge(PurgeQueue{Client: "car-7"})
	require.Equal(t, api.Conflict, api.KindOf(err))
	require.ErrorContains(t, err, "stomp.default, stomp.two")
	_, err = purge(PurgeQueue{})
	require.Equal(t, api.Invalid, api.KindOf(err))
	require.Empty(t, h.audited(t))
	p, err := purge(PurgeQueue{Client: "car-7", Gateway: "stomp.default"})
	require.NoError(t, err)
	require.Equal(t, Purged{3}, p)
	_, err = purge(PurgeQueue{Client: "car-7", Gateway: "stomp.default"})
	require.Equal(t, api.NotFound, api.KindOf(err))
	left, err := call[ListQueues, WaitingPage](t, h, "queue.list", ListQueues{})
	require.NoError(t, err)
	require.Equal(t, []api.ClientKey{near, other}, []api.ClientKey{left.Data[0].ClientKey, left.Data[1].ClientKey})
	require.Equal(t, []string{"queue.purge"}, h.audited(t))

	require.NoError(t, h.js.DeleteStream(t.Context(), streams.Audit))
	_, err = purge(PurgeQueue{Client: "car-70"})
	require.Equal(t, api.Unavailable, api.KindOf(err), "what cannot be audited is not done")
	left, err = call[ListQueues, WaitingPage](t, h, "queue.list", ListQueues{})
	require.NoError(t, err)
	require.Equal(t, 2, left.Count)
}
