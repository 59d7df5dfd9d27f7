package stomp

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/wire/stomp"
)

func TestMalformedFrames(t *testing.T) {
	for raw, text := range map[string]string{
		"send\n\n\x00":                                              "unknown command",
		"SEND\nno colon\n\n\x00":                                    "header line without colon",
		"SEND\n:x\n\n\x00":                                          "empty header name",
		"SEND\nx:\\t\n\n\x00":                                       "undefined escape",
		"SEND\nreceipt:r\ncontent-length:-1\n\n\x00":                "bad content-length",
		"SEND\nreceipt:r\ncontent-length:2\n\nabc\x00":              "no nul byte",
		"SEND\nreceipt:r\ncontent-length:9999999999999\n\n":         "body too long",
		"SEND\nreceipt:r\n\n" + strings.Repeat("x", 8193):           "body too long",
		"SEND\n" + strings.Repeat("a:b\n", 11):                      "too many headers",
		"SEND\na:" + strings.Repeat("b", 1100):                      "header too long",
		"BEGIN\nreceipt:r\ntransaction:t\n\nbody\x00":               "command does not allow a body",
		"SEND\ndestination:a\n\nx\x00 SEND\ndestination:a\n\nx\x00": "unknown command",
	} {
		dialogue(t, func(r *rig) {
			r.connect("1.2")
			r.Logf("%.40q", raw) // which of the map
			r.raw(raw)
			f := r.refused("Frame error: " + text)
			if strings.Contains(raw, "receipt") {
				require.Equal(r, "r", f.Get("receipt-id"))
			}
			_, reason := r.client().Closed()
			require.ErrorIs(r, reason, gateway.ErrProtocol)
		})
	}
}

func TestFramesInPieces(t *testing.T) {
	dialogue(t, func(r *rig) {
		for _, b := range "\n\nCONNECT\r\naccept-version:1.2\r\nhost:h\r\n\r\n\x00" {
			r.raw(string(b))
		}
		require.Equal(r, stomp.CmdConnected, r.next().Command)
		for _, b := range "\r\nSEND\r\ndestination:a\r\nreceipt:1\r\ncontent-length:3\r\n\r\na\x00b\x00" {
			r.raw(string(b))
		}
		r.receipt("1")
		require.Equal(r, "a\x00b", string(r.client().Published()[0].Payload))
		r.raw("SEND\ndestination:a\n\n1\x00\n\nSEND\ndestination:a\ndestination:b\nreceipt:2\n\n2\x00")
		r.receipt("2")
		require.Equal(r, "a", r.client().Published()[2].Topic, "of repeated headers the first counts")
	})
}

func TestReceiptIsEscapedByVersion(t *testing.T) {
	for version, id := range map[string]string{"1.0": "a:b", "1.1": "a:b\n\\", "1.2": "a:b\r\n\\"} {
		dialogue(t, func(r *rig) {
			r.connect(version)
			r.send(stomp.CmdBegin, "transaction", "t", "receipt", id)
			r.receipt(id)
		})
	}
}

func TestKicked(t *testing.T) {
	for _, why := range []error{gateway.ErrKicked, gateway.ErrTakenOver, gateway.ErrBanned, gateway.ErrExpired, gateway.ErrLeaseLost} {
		dialogue(t, func(r *rig) {
			r.connect("1.2")
			r.subscribe("id", "s", "destination", "a", "ack", "client")
			_, os := r.deliver("s", 1)
			r.client().Kick(why)
			r.refused(why.Error())
			_, reason := r.client().Closed()
			require.ErrorIs(r, reason, why)
			outcome(t, os[0], 1, gateway.ErrClosed)
		})
	}
}

func TestShutdownSaysGoodbye(t *testing.T) {
	for _, why := range []error{gateway.ErrShutdown, errors.New("reload")} {
		dialogue(t, func(r *rig) {
			r.connect("1.2")
			r.subscribe("id", "s", "destination", "a")
			o := r.client().Deliver("s", "a", gatewaytest.Text("last"))
			synctest.Wait()
			r.cancel(why)
			require.Equal(r, "last", string(r.next().Body))
			r.refused("server is shutting down")
			outcome(t, o, 1, nil)
			_, reason := r.client().Closed()
			require.ErrorIs(r, reason, gateway.ErrShutdown)
			require.ErrorIs(r, reason, why)
		})
	}
	dialogue(t, func(r *rig) {
		r.cancel(gateway.ErrShutdown)
		r.refused("server is shutting down")
	})
}

// A device that does not read cannot hold the shutdown up for long.
func TestShutdownWithSlowReader(t *testing.T) {
	deaf(t, func(r *rig) {
		r.send(stomp.CmdConnect)
		synctest.Wait() // CONNECTED waits to be read
		start := time.Now()
		r.cancel(gateway.ErrShutdown)
		<-r.served
		require.Equal(r, goodbyeTime, time.Since(start))
		_, reason := r.client().Closed()
		require.ErrorIs(r, reason, gateway.ErrShutdown)
	})
}

// RFC 793: closing with unread data would reset the connection, and the ERROR
// with it.
func TestErrorLingers(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		start := time.Now()
		r.send(stomp.CmdAbort, "transaction", "t")
		r.raw(strings.Repeat("x", 100_000)) // is read away
		require.Equal(r, stomp.CmdError, r.next().Command)
		require.NoError(r, r.nc.Close()) // the device closes: nothing to wait for
		<-r.served
		require.Zero(r, time.Since(start))
	})
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.send(stomp.CmdAbort, "transaction", "t")
		for range lingerBytes/1000 + 10 {
			r.raw(strings.Repeat("x", 1000))
		}
		r.refused("not found")
	})
}

func TestPeerCloses(t *testing.T) {
	for _, half := range []string{"", "SEND\ndest"} {
		dialogue(t, func(r *rig) {
			r.connect("1.2")
			r.raw(half)
			_ = r.nc.Close()
			<-r.served
			_, reason := r.client().Closed()
			require.ErrorIs(r, reason, gateway.ErrClosed)
		})
	}
}

func TestPanicInTheDoor(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.client().Deny(func(verb, _ string) error {
			if verb == "subscribe" {
				panic("bug")
			}
			return nil
		})
		r.send(stomp.CmdSubscribe, "id", "1", "destination", "a", "receipt", "s")
		f := r.refused("internal error")
		require.Equal(r, "s", f.Get("receipt-id"))
		require.NotContains(r, string(f.Body), "bug")
		require.Contains(r, r.log.String(), "bug")
	})
}

func TestReplyForAllKinds(t *testing.T) {
	seen := map[string]api.Kind{}
	for _, k := range api.Kinds() {
		words := advice(k)
		require.NotEmpty(t, words)
		require.NotContains(t, seen, words, "each kind has words of its own")
		seen[words] = k

		err := api.Wrap(k, "publish", "what happened", errors.New("the cause"))
		for _, r := range []*refusal{doorError(err, "Cannot send to", "a"), loginError(err)} {
			f := r.frame()
			require.Contains(t, string(f.Body), words)
			require.NotContains(t, string(f.Body), "the cause")
			require.Equal(t, k == api.Internal, !strings.Contains(string(f.Body), "what happened") && k != api.Denied)
		}
		reply, ok := replyFor(err)
		require.True(t, ok)
		require.Equal(t, k, reply.kind)
	}
	for _, why := range farewells() {
		reply, ok := replyFor(why)
		require.True(t, ok)
		require.Equal(t, why.Error(), reply.text)
		require.NotEqual(t, api.Internal, reply.kind)
	}
	for _, why := range []error{nil, errGoodbye, gateway.ErrClosed, gateway.ErrSlow} {
		_, ok := replyFor(why)
		require.False(t, ok, "%v", why)
	}
	require.Len(t, (&refusal{text: strings.Repeat("x", 1000)}).frame().Get("message"), maxMessage)
}
