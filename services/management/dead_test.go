package management

import (
	"bytes"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

// bury stores a dead letter as the session service does.
func (h *house) bury(t *testing.T, k api.ClientKey, queue, reason, body string) uint64 {
	t.Helper()
	return h.store(t, streams.DeadSubject(reason, k.String()), body, streams.HdrReason, reason, streams.HdrQueue, k.QueueSubject(queue),
		streams.HdrSubject, "iot.a", streams.HdrSeq, "77", streams.HdrUser, "ann", nats.MsgIdHdr, "dead."+body)
}

func (h *house) letters(t *testing.T, r ListDead) (seqs []uint64) {
	t.Helper()
	for {
		p, err := call[ListDead, DeadPage](t, h, "dead.list", r)
		require.NoError(t, err)
		for _, l := range p.Data {
			seqs = append(seqs, l.Seq)
		}
		if r.After = p.Next; r.After == 0 {
			return seqs
		}
	}
}

func TestDeadListAndShow(t *testing.T) {
	h := open(t)
	car, van := keyOf("default", "car 7"), keyOf("two", "van")
	require.Empty(t, h.letters(t, ListDead{}))
	h.bury(t, car, "q", "nack", "one")
	h.bury(t, van, "q", "no_ack", "two")
	h.bury(t, car, "q", "no_ack", "three")
	h.store(t, streams.DeadSubject("max_deliver", van.String()), "four", streams.HdrReason, "max_deliver", streams.HdrSubject, "gw.work.jobs")
	for _, c := range []struct {
		f    DeadFilter
		want []uint64
	}{
		{DeadFilter{}, []uint64{1, 2, 3, 4}},
		{DeadFilter{Reason: "no_ack"}, []uint64{2, 3}},
		{DeadFilter{Client: "car 7"}, []uint64{1, 3}},
		{DeadFilter{Client: "car 7", Reason: "nack"}, []uint64{1}},
		{DeadFilter{Gateway: "stomp.two"}, []uint64{2, 4}},
		{DeadFilter{Gateway: "stomp", Reason: "nack"}, []uint64{1}},
		{DeadFilter{Client: "nobody"}, nil},
	} {
		require.Equal(t, c.want, h.letters(t, ListDead{DeadFilter: c.f}), "%+v", c.f)
		require.Equal(t, c.want, h.letters(t, ListDead{DeadFilter: c.f, Limit: 1}), "%+v, one by one", c.f)
	}
	p, err := call[ListDead, DeadPage](t, h, "dead.list", ListDead{Limit: 1})
	require.NoError(t, err)
	l := p.Data[0]
	require.Equal(t, DeadPage{Next: 1, Count: 4, Data: []DeadLetter{{
		ClientKey: car, Seq: 1, Reason: "nack", Topic: "iot.a", Queue: car.QueueSubject("q"), Size: 3, At: l.At,
	}}}, p)
	require.WithinDuration(t, time.Now(), l.At, time.Minute)

	l, err = call[ShowDead, DeadLetter](t, h, "dead.show", ShowDead{Seq: 4})
	require.NoError(t, err)
	require.Equal(t, "four", string(l.Body))
	require.Equal(t, "gw.work.jobs", l.Queue)
	require.Equal(t, "max_deliver", l.Header.Get(streams.HdrReason))
	for kind, r := range map[api.Kind]ShowDead{api.NotFound: {Seq: 99}, api.Invalid: {}} {
		_, err = call[ShowDead, DeadLetter](t, h, "dead.show", r)
		require.Equal(t, kind, api.KindOf(err))
	}
	_, err = call[ListDead, DeadPage](t, h, "dead.list", ListDead{DeadFilter: DeadFilter{Reason: "a.>"}})
	require.Equal(t, api.Invalid, api.KindOf(err))
	require.Empty(t, h.audited(t))
}

func TestDeadShowFitsAMessage(t *testing.T) {
	h := open(t)
	big := int(h.nc.MaxPayload()) - 2048
	seq := h.store(t, streams.DeadSubject("nack", keyOf("default", "car").String()), string(bytes.Repeat([]byte("x"), big)), streams.HdrReason, "nack")
	l, err := call[ShowDead, DeadLetter](t, h, "dead.show", ShowDead{Seq: seq})
	require.NoError(t, err)
	require.Equal(t, big, l.Size)
	require.NotEmpty(t, l.Body)
	require.Less(t, len(l.Body), big)
	require.Equal(t, nats.Header{streams.HdrReason: {"nack"}}, l.Header)
}

func TestDeadPurge(t *testing.T) {
	h := open(t)
	purge := func(r PurgeDead) (Purged, error) { return call[PurgeDead, Purged](t, h, "dead.purge", r) }
	car, van := keyOf("default", "car"), keyOf("default", "van")
	for _, id := range []string{"1", "2", "3"} {
		h.bury(t, car, "q", "nack", "car"+id)
		h.bury(t, van, "q", "nack", "van"+id)
	}
	for _, r := range []PurgeDead{
		{}, {Seq: 1, All: true}, {Seq: 1, DeadFilter: DeadFilter{Client: "car"}}, {All: true, DeadFilter: DeadFilter{Client: "car"}},
		{DeadFilter: DeadFilter{Gateway: "stomp."}}, {DeadFilter: DeadFilter{Reason: "*"}},
	} {
		_, err := purge(r)
		require.Equal(t, api.Invalid, api.KindOf(err), "%+v", r)
	}
	_, err := purge(PurgeDead{Seq: 99})
	require.Equal(t, api.NotFound, api.KindOf(err))
	require.Len(t, h.letters(t, ListDead{}), 6)
	require.Empty(t, h.audited(t))
	for _, c := range []struct {
		r    PurgeDead
		n    uint64
		left []uint64
	}{
		{PurgeDead{Seq: 1}, 1, []uint64{2, 3, 4, 5, 6}},
		{PurgeDead{DeadFilter: DeadFilter{Client: "car", Reason: "nack"}}, 2, []uint64{2, 4, 6}},
		{PurgeDead{DeadFilter: DeadFilter{Client: "car"}}, 0, []uint64{2, 4, 6}},
		{PurgeDead{All: true}, 3, nil},
	} {
		p, err := purge(c.r)
		require.NoError(t, err)
		require.Equal(t, Purged{c.n}, p)
		require.Equal(t, c.left, h.letters(t, ListDead{}))
	}
	require.Equal(t, []string{"dead.purge", "dead.purge", "dead.purge"}, h.audited(t), "nothing was done the third time")
}
