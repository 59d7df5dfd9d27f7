package translator

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

const text = `{"header":{"msg_id":33536},"body":{"flag":1,"text":"hello"}}`

func (h *house) command(phone, body string, header nats.Header) {
	h.t.Helper()
	_, err := h.js.PublishMsg(h.t.Context(), &nats.Msg{Subject: "jt808." + phone + ".0" + phone + ".dn", Header: header, Data: []byte(body)})
	require.NoError(h.t, err)
}

// queued are the commands that wait for a terminal, after there are n.
func (h *house) queued(phone string, n uint64) (all []*jetstream.RawStreamMsg) {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), streams.Queue)
	require.NoError(h.t, err)
	subj := key(phone).QueueSubject(api.MainQueue)
	require.Eventually(h.t, func() bool {
		info, err := s.Info(h.t.Context(), jetstream.WithSubjectFilter(subj))
		return err == nil && info.State.Subjects[subj] >= n
	}, patience, 10*time.Millisecond)
	info, err := s.Info(h.t.Context())
	require.NoError(h.t, err)
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		if m, err := s.GetMsg(h.t.Context(), seq); err == nil && m.Subject == subj {
			all = append(all, m)
		}
	}
	require.Len(h.t, all, int(n))
	return all
}

func TestCommandsAreQueued(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.start("t1")
	h.command("139", text, nats.Header{streams.HdrCorrelation: {"order 5"}, jetstream.MsgTTLHeader: {"60s"}})
	h.command("139", `{"correlation_id":"order 6","header":{"msg_id":33281}}`, nil)
	h.command("138", text, nil)
	all := h.queued("139", 2)
	require.Equal(t, text, string(all[0].Data))
	require.Equal(t, "order 5", all[0].Header.Get(streams.HdrCorrelation))
	require.Equal(t, "60s", all[0].Header.Get(jetstream.MsgTTLHeader), "it expires in the queue")
	require.Equal(t, "jt808.139.0139.dn", all[0].Header.Get(streams.HdrSubject))
	require.Equal(t, "order 6", all[1].Header.Get(streams.HdrCorrelation))
	h.queued("138", 1)
	p.kill()
	h.command("139", text, nil) // nobody is there
	h.start("t2")
	h.queued("139", 3)
}

func TestWrongCommandsAreAnswered(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start("t1")
	usual, err := h.nc.SubscribeSync("jt808.*.*.dn.resp")
	require.NoError(t, err)
	asked, err := h.nc.SubscribeSync("apps.answers")
	require.NoError(t, err)
	require.NoError(t, h.nc.Flush())
	answer := func(sub *nats.Subscription) (a struct{ Error, Correlation string }) {
		t.Helper()
		m, err := sub.NextMsg(patience)
		require.NoError(t, err)
		var v struct {
			Error       string `json:"error"`
			Correlation string `json:"correlation_id"`
		}
		require.NoError(t, json.Unmarshal(m.Data, &v))
		a.Error, a.Correlation = v.Error, v.Correlation
		return a
	}
	for body, want := range map[string]string{
		`{"header":`:                                                 "not a command",
		`{"header":{},"body":{}}`:                                    "header.msg_id is missing",
		`{"header":{"msg_id":512},"body":{}}`:                        "message 0x0200 is for terminals to send",
		`{"header":{"msg_id":33536},"body":{"flag":1}}`:              "text: is missing",
		`{"header":{"msg_id":33536},"body":{"flag":300,"text":"x"}}`: "flag: is out of range: 300 is above 255",
	} {
		h.command("139", body, nil)
		require.Contains(t, answer(usual).Error, want, body)
	}
	h.command("139", `{"header":{"msg_id":1}}`, nats.Header{streams.HdrResponse: {"apps.answers"}, streams.HdrCorrelation: {"order 9"}})
	a := answer(asked)
	require.Equal(t, "order 9", a.Correlation)
	h.command("139", text, nil)
	h.queued("139", 1)

	limit := streams.DefaultOptions().QueueLimit
	for range limit {
		h.command("139", text, nil)
	}
	require.Contains(t, answer(usual).Error, "the queue of the device is full")
}
