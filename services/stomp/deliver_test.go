package stomp

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/gateway"
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/wire/stomp"
)

func TestMessageHeaders(t *testing.T) {
	in := &gateway.Inbound{
		Payload: []byte("a\x00b"), ContentType: "text/plain",
		Props: []gateway.Prop{{Name: "x", Value: "1:2"}, {Name: "ack", Value: "forged"}, {Name: "x", Value: "line\nbreak"}},
	}
	for version, want := range map[string]string{
		"1.0": "MESSAGE\nsubscription:s\nmessage-id:t1\ndestination:a\ncontent-type:text/plain\nx:1:2\nx:line break\ncontent-length:3\n\na\x00b\x00",
		"1.1": "MESSAGE\nsubscription:s\nmessage-id:t1\ndestination:a\ncontent-type:text/plain\nx:1\\c2\nx:line\\nbreak\ncontent-length:3\n\na\x00b\x00",
		"1.2": "MESSAGE\nsubscription:s\nmessage-id:t1\ndestination:a\nack:1-s\ncontent-type:text/plain\nx:1\\c2\nx:line\\nbreak\ncontent-length:3\n\na\x00b\x00",
	} {
		deaf(t, func(r *rig) {
			buf := make([]byte, 4096)
			read := func() string {
				n, err := r.nc.Read(buf)
				require.NoError(r, err)
				return string(buf[:n])
			}
			r.v, _ = stomp.ParseVersion(version)
			r.send(stomp.CmdConnect, "accept-version", version, "host", "h")
			require.Contains(r, read(), "CONNECTED\nversion:"+version+"\n")
			r.send(stomp.CmdSubscribe, "id", "s", "destination", "a", "ack", "client", "receipt", "1")
			require.Equal(r, "RECEIPT\nreceipt-id:1\n\n\x00", read())
			r.client().Deliver("s", "a", in)
			require.Equal(r, want, read())
		})
	}
}

func TestMessageSubscriptionHeaderIn10(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.0")
		r.subscribe("destination", "a")
		r.client().Deliver("a", "a", gatewaytest.Text("x"))
		_, ok := r.next().Lookup("subscription")
		require.False(r, ok, "the device gave no id")
	})
}

func TestMessageDestinationAsSubscribed(t *testing.T) {
	for _, c := range []struct{ subscribed, topic, want string }{
		{"a/+", "a/b", "a/b"}, {"/topic/a/#", "a/b/c", "/topic/a/b/c"}, {"/a/*", "/a/b", "/a/b"}, {"/queue/jobs", "jobs", "/queue/jobs"},
	} {
		dialogue(t, func(r *rig) {
			r.connect("1.2")
			r.subscribe("id", "s", "destination", c.subscribed)
			r.client().Deliver("s", c.topic, gatewaytest.Text("x"))
			require.Equal(r, c.want, r.next().Get("destination"))
		})
	}
}

func TestMessageIDs(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.subscribe("id", "s", "destination", "a")
		for _, c := range []struct {
			mark gatewaytest.Mark
			want string
		}{
			{gatewaytest.Numbered(0, false, 1), "t1 "}, {gatewaytest.Numbered(7, true, 1), "w7 "},
			{gatewaytest.Numbered(7, false, 1), "d7 "}, {gatewaytest.Numbered(7, true, 2), "w7 true"}, {gatewaytest.Numbered(0, false, 1), "t5 "},
		} {
			r.client().Deliver("s", "a", gatewaytest.Text("x"), c.mark)
			m := r.next()
			require.Equal(r, c.want, m.Get("message-id")+" "+m.Get("redelivered"))
			require.Empty(r, m.Get("ack"), "auto mode")
		}
	})
}

func TestAutoIsDoneWhenWritten(t *testing.T) {
	deaf(t, func(r *rig) {
		buf := make([]byte, 4096)
		read := func() { _, _ = r.nc.Read(buf) }
		r.send(stomp.CmdConnect)
		read()
		r.send(stomp.CmdSubscribe, "destination", "a", "receipt", "1")
		read()
		o := r.client().Deliver("a", "a", gatewaytest.Text("x"))
		synctest.Wait()
		outcome(t, o, 0, nil)
		read()
		outcome(t, o, 1, nil)
	})
}

// web-stomp #58, Artemis-2333: a device that does not read is cut off, and what
// it did not get is not taken for delivered.
func TestSlowReaderIsCutOff(t *testing.T) {
	deaf(t, func(r *rig) {
		buf := make([]byte, 4096)
		r.send(stomp.CmdConnect)
		_, _ = r.nc.Read(buf)
		r.send(stomp.CmdSubscribe, "destination", "a", "receipt", "1")
		_, _ = r.nc.Read(buf)
		start := time.Now()
		var os []*gatewaytest.Outcome
		for range 100 {
			os = append(os, r.client().Deliver("a", "a", gatewaytest.Text(strings.Repeat("x", 4000))))
		}
		<-r.served
		require.Equal(r, r.conf.WriteTimeout, time.Since(start))
		for _, o := range os {
			n, err := o.Result()
			require.Equal(r, 1, n)
			require.Error(r, err)
		}
		_, reason := r.client().Closed()
		require.ErrorIs(r, reason, gateway.ErrSlow)
	})
}

func TestManyMessagesInOrder(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.subscribe("id", "s", "destination", "a")
		var os []*gatewaytest.Outcome
		for i := range 500 {
			os = append(os, r.client().Deliver("s", "a", gatewaytest.Text(strings.Repeat("y", i))))
		}
		for i := range 500 {
			require.Len(r, r.next().Body, i)
		}
		for _, o := range os {
			outcome(t, o, 1, nil)
		}
	})
}

func TestDeliveryOfUnknownSubscription(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		outcome(t, r.client().Deliver("nobody", "a", gatewaytest.Text("x")), 1, gateway.ErrClosed)
		r.nothing()
	})
}
