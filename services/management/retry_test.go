package management

import (
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

func (h *house) retry(t *testing.T, r RetryDead) (Retried, error) {
	t.Helper()
	return call[RetryDead, Retried](t, h, "dead.retry", r)
}

// last is the last message of a subject, without the headers of the answer.
func (h *house) last(t *testing.T, stream, subj string) *jetstream.RawStreamMsg {
	t.Helper()
	s, err := h.js.Stream(t.Context(), stream)
	require.NoError(t, err)
	m, err := s.GetLastMsgForSubject(t.Context(), subj)
	require.NoError(t, err)
	for _, name := range []string{jetstream.StreamHeader, jetstream.SubjectHeader, jetstream.SequenceHeader, jetstream.TimeStampHeaer} {
		m.Header.Del(name)
	}
	return m
}

func (h *house) size(t *testing.T, stream string) uint64 {
	t.Helper()
	s, err := h.js.Stream(t.Context(), stream)
	require.NoError(t, err)
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	return info.State.Msgs
}

func TestRetryPutsALetterBack(t *testing.T) {
	h := open(t)
	car := keyOf("default", "car 7")
	seq := h.bury(t, car, api.MainQueue, "nack", "open")
	got, err := h.retry(t, RetryDead{Seq: seq})
	require.NoError(t, err)
	require.Equal(t, Retried{Retried: 1}, got)
	m := h.last(t, streams.Queue, car.QueueSubject(api.MainQueue))
	require.Equal(t, "open", string(m.Data))
	require.Regexp(t, `^retry\.1\.[0-9a-z]+$`, m.Header.Get(nats.MsgIdHdr))
	m.Header.Del(nats.MsgIdHdr)
	require.Equal(t, nats.Header{streams.HdrSubject: {"iot.a"}, streams.HdrUser: {"ann"}}, m.Header,
		"its own headers; with Gw-Seq the session service would not wake its client")
	require.Empty(t, h.letters(t, ListDead{}))
	_, err = h.retry(t, RetryDead{Seq: seq})
	require.Equal(t, api.NotFound, api.KindOf(err))
	require.Equal(t, []string{"dead.retry"}, h.audited(t))
}

func TestRetryOfAWorkQueue(t *testing.T) {
	h := open(t)
	work := streams.WorkSubject("iot/jobs")
	seq := h.store(t, streams.DeadSubject("max_deliver", keyOf("default", "w").String()), "job",
		streams.HdrReason, "max_deliver", streams.HdrSubject, work, streams.HdrClient, "producer")
	_, err := h.retry(t, RetryDead{Seq: seq})
	require.NoError(t, err)
	m := h.last(t, streams.Work, work)
	require.Equal(t, "job", string(m.Data))
	m.Header.Del(nats.MsgIdHdr)
	require.Equal(t, nats.Header{streams.HdrClient: {"producer"}}, m.Header)
	require.Empty(t, h.letters(t, ListDead{}))
}

// TestRetryCutOff: the message was stored, and the letter not deleted.
func TestRetryCutOff(t *testing.T) {
	h := open(t)
	car := keyOf("default", "car")
	seq := h.bury(t, car, api.MainQueue, "nack", "once")
	m := h.last(t, streams.Dead, "gw.dead.>")
	to, stream := home(m)
	_, err := h.js.PublishMsg(t.Context(), revived(m, to, stream))
	require.NoError(t, err)
	got, err := h.retry(t, RetryDead{Seq: seq})
	require.NoError(t, err)
	require.Equal(t, 1, got.Retried)
	require.Equal(t, uint64(1), h.size(t, streams.Queue), "not twice")
	require.Empty(t, h.letters(t, ListDead{}))
}

func TestRetryKeepsWhatCannotGoBack(t *testing.T) {
	h := open(t)
	car, other := keyOf("default", "car"), keyOf("default", "other")
	dead := streams.DeadSubject("nack", car.String())
	lost := h.store(t, dead, "no queue", streams.HdrReason, "nack")
	forged := h.store(t, dead, "another's", streams.HdrReason, "nack", streams.HdrQueue, other.QueueSubject("q"))
	outside := h.store(t, dead, "elsewhere", streams.HdrReason, "nack", streams.HdrSubject, "iot.a")
	ended := h.bury(t, car, "sub-1", "nack", "ended")
	for _, seq := range []uint64{lost, forged, outside, ended} {
		_, err := h.retry(t, RetryDead{Seq: seq})
		require.Equal(t, api.Conflict, api.KindOf(err), "%d: %v", seq, err)
	}
	h.put(t, streams.Sessions, streams.SessionKey(car), api.Session{ClientKey: car, Subs: map[string]api.DurableSub{"sub-1": {}}})
	_, err := h.retry(t, RetryDead{Seq: ended})
	require.NoError(t, err, "now there is such a subscription")
	require.Equal(t, []uint64{lost, forged, outside}, h.letters(t, ListDead{}))
	require.Equal(t, uint64(1), h.size(t, streams.Queue))
	for _, r := range []RetryDead{{}, {Seq: 1, DeadFilter: DeadFilter{Client: "car"}}, {DeadFilter: DeadFilter{Reason: "nack"}}} {
		_, err := h.retry(t, r)
		require.Equal(t, api.Invalid, api.KindOf(err), "%+v", r)
	}
}

func TestRetryOfAFullQueue(t *testing.T) {
	h := open(t)
	s, err := h.js.Stream(t.Context(), streams.Queue)
	require.NoError(t, err)
	conf := s.CachedInfo().Config
	conf.MaxMsgsPerSubject = 2
	_, err = h.js.UpdateStream(t.Context(), conf)
	require.NoError(t, err)
	car := keyOf("default", "car")
	for i := range 3 {
		h.bury(t, car, api.MainQueue, "nack", strconv.Itoa(i))
	}
	got, err := h.retry(t, RetryDead{DeadFilter: DeadFilter{Client: "car"}})
	require.NoError(t, err)
	require.Equal(t, 2, got.Retried)
	require.Len(t, got.Failed, 1)
	require.Equal(t, uint64(3), got.Failed[0].Seq)
	require.Contains(t, got.Failed[0].Error, "full")
	_, err = h.retry(t, RetryDead{Seq: 3})
	require.Equal(t, api.Busy, api.KindOf(err))
	require.Equal(t, []uint64{3}, h.letters(t, ListDead{}))
}

func TestRetryOfAClient(t *testing.T) {
	h := open(t)
	car, van := keyOf("default", "car"), keyOf("default", "van")
	const n = retryPage + 5
	for i := range n {
		h.bury(t, car, api.MainQueue, "nack", strconv.Itoa(i))
	}
	h.bury(t, van, api.MainQueue, "nack", "van")
	r := RetryDead{DeadFilter: DeadFilter{Client: "car", Gateway: "stomp"}}
	retried := 0
	for calls := 0; ; calls++ {
		got, err := h.retry(t, r)
		require.NoError(t, err)
		require.Empty(t, got.Failed)
		require.Equal(t, uint64(n), got.Until)
		retried += got.Retried
		if calls == 0 {
			require.NotZero(t, got.Next, "a call has an end")
			h.bury(t, car, api.MainQueue, "nack", "again") // it dies again meanwhile
		}
		if r.After, r.Until = got.Next, got.Until; r.After == 0 {
			break
		}
	}
	require.Equal(t, n, retried)
	require.Equal(t, []uint64{n + 1, n + 2}, h.letters(t, ListDead{}), "another's, and the one that came later")
	require.Equal(t, uint64(n), h.size(t, streams.Queue))
	_, err := h.retry(t, RetryDead{DeadFilter: DeadFilter{Client: "nobody"}})
	require.Equal(t, api.NotFound, api.KindOf(err))
}
