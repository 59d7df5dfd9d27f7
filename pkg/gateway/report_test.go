package gateway

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

// frameConfig is an edge of a message protocol.
type frameConfig struct{ edgeConfig }

func (*frameConfig) Topics() (up, down []string) {
	return []string{"iot/frames/${clientid}/up"}, []string{"cmd/${clientid}/dn"}
}

func (h *house) frames(n *Node) *Instance {
	h.t.Helper()
	c := &frameConfig{edgeConfig{InstanceConfig: DefaultInstance()}}
	i, err := n.Start(h.t.Context(), lineKind(), "frames", c)
	require.NoError(h.t, err)
	return i
}

// TestReport: a frame is stored as it came, with what the translator cannot
// know, and only then its device is answered.
func TestReport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := let(t, h.frames(h.node("a")), "dev.1")
	_, err := c.Topic("frames/${clientid}/${phone}", func(name string) (string, bool) { return "a/b", name == "phone" })
	wantKind(t, api.Denied, err) // or it would be in another's topics
	topic, err := c.Topic("iot/frames/${clientid}/${phone}", func(name string) (string, bool) { return "139", name == "phone" })
	require.NoError(t, err)
	require.Equal(t, "iot/frames/dev.1/139", topic, "the mountpoint is not for it")

	for range 2 { // the second is a repeat
		require.NoError(t, c.Report(t.Context(), Report{
			Kind: "0200", Topic: topic, Frame: []byte{0x7e, 1}, ID: "0200.7", Correlation: "order 5", Tag: 3,
		}))
		e := next(t, c)
		require.Equal(t, Acked, e.Kind)
		require.EqualValues(t, 3, e.Tag)
		require.NoError(t, e.Err)
	}
	c.Close(ErrClosed) // and a repeat over another connection
	c = let(t, c.inst, "dev.1")
	require.NoError(t, c.Report(t.Context(), Report{Kind: "0200", Topic: topic, Frame: []byte{0x7e, 1}, ID: "0200.7", Tag: 4}))
	require.NoError(t, next(t, c).Err)
	all := h.messages(streams.Raw, streams.RawFilter(c.info.Partition()))
	require.Len(t, all, 1)
	m := all[0]
	require.Equal(t, "gw.raw.57.line.frames.dev=2E1.0200", m.Subject())
	require.Equal(t, []byte{0x7e, 1}, m.Data())
	require.Equal(t, "iot.frames.dev//1.139", m.Headers().Get(streams.HdrSubject))
	require.Equal(t, "order 5", m.Headers().Get(streams.HdrCorrelation))
	_, err = time.Parse(streams.TsFormat, m.Headers().Get(streams.HdrTs))
	require.NoError(t, err)

	wantKind(t, api.Invalid, c.Report(t.Context(), Report{Kind: "k", Topic: "elsewhere/x"})) // no stream would keep its translation
	n, _ := c.Inflight()
	require.Zero(t, n)
}

// TestCommandsForADevice come from its main queue although it has subscribed to
// nothing.
func TestCommandsForADevice(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.sessions()
	i := h.frames(h.node("a"))
	c, err := arrive(t, i, Hello{ClientID: "dev", Commands: true})
	require.NoError(t, err)
	for _, body := range []string{"1", "2"} {
		_, err = h.js.PublishMsg(t.Context(), &nats.Msg{
			Subject: c.info.QueueSubject(api.MainQueue), Data: []byte(body),
			Header: nats.Header{streams.HdrCorrelation: {"c" + body}, streams.HdrResponse: {"r"}, nats.MsgIdHdr: {body}},
		})
		require.NoError(t, err)
	}
	first := next(t, c).Delivery
	require.Equal(t, "1", string(first.Msg.Payload))
	require.Equal(t, "c1", first.Msg.Correlation)
	require.Equal(t, "r", first.Msg.Response)
	c.Close(ErrClosed) // without an answer
	c, err = arrive(t, i, Hello{ClientID: "dev", Commands: true})
	require.NoError(t, err)
	for _, e := range events(t, c, 2) {
		e.Delivery.Done(nil)
	}
	require.Eventually(t, func() bool { return h.queued() == 0 }, patience, 10*time.Millisecond)
	c.Close(nil)
}
