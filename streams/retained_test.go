package streams

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

func TestRetainedSubject(t *testing.T) {
	require.Equal(t, "gw.ret.iot.a//b", RetainedSubject("iot.a//b"))
	require.Equal(t, "gw.ret.iot.*.>", RetainedSubject("iot.*.>"))
	for _, subj := range []string{"iot.a", "gw.ret.iot.a", "a"} {
		require.Equal(t, subj, RetainedOf(RetainedSubject(subj)))
	}
}

func TestRetainedMsg(t *testing.T) {
	m := nats.NewMsg("iot.a")
	m.Data = []byte("x")
	m.Reply = "_INBOX.a"
	m.Header.Set(HdrClient, "c")
	m.Header.Set(nats.MsgIdHdr, "7")
	r := RetainedMsg(m)
	require.Equal(t, &nats.Msg{
		Subject: "gw.ret.iot.a", Data: m.Data,
		Header: nats.Header{HdrClient: {"c"}, nats.MsgIdHdr: {"7.ret"}},
	}, r)
	r.Header.Set(HdrUser, "u")
	require.Equal(t, nats.Header{HdrClient: {"c"}, nats.MsgIdHdr: {"7"}}, m.Header, "the message stays as it is")

	// Without payload it clears, and goes by itself.
	r = RetainedMsg(&nats.Msg{Subject: "iot.a"})
	require.Equal(t, nats.Header{jetstream.MsgRollup: {"sub"}, jetstream.MsgTTLHeader: {"60s"}}, r.Header)
}
