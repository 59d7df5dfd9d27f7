package stomp

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/wire/stomp"
)

func manual(r *rig) { r.door.Manual = true }

func TestSendHeadersBecomeProps(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.publish("a\x00b", "destination", "/topic/a/b", "x", "1", "content-type", "text/plain", "priority", "9",
			"x", "2", "receipt", "r", "ack", "no", "message-id", "no", "subscription", "no")
		r.receipt("r")
		m := r.client().Published()[0]
		require.Equal(r, gateway.Message{
			Topic: "a/b", Payload: []byte("a\x00b"), ContentType: "text/plain", Confirm: true, Tag: 1,
			Props: []gateway.Prop{{Name: "x", Value: "1"}, {Name: "priority", Value: "9"}, {Name: "x", Value: "2"}},
		}, m)
	}, func(r *rig) { r.conf.Frame.MaxHeaders = 20 })
}

func TestSendDestinations(t *testing.T) {
	for s, want := range map[string]gateway.Message{
		"a/b": {Topic: "a/b"}, "/topic/a/b": {Topic: "a/b"}, "/a/b": {Topic: "/a/b"},
		"/queue/jobs": {Topic: "jobs", Queue: true}, "/queues/x": {Topic: "/queues/x"},
	} {
		dialogue(t, func(r *rig) {
			r.connect("1.1")
			r.send(stomp.CmdSend, "destination", s)
			synctest.Wait()
			require.Equal(r, []gateway.Message{want}, r.client().Published(), "no receipt: nothing to confirm")
		})
	}
	for _, s := range []string{"", "/topic/", "/queue/"} {
		dialogue(t, func(r *rig) {
			r.connect("1.2")
			r.send(stomp.CmdSend, "destination", s, "receipt", "r")
			require.Equal(r, "r", r.refused("destination").Get("receipt-id"))
		})
	}
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.send(stomp.CmdSend)
		r.refused("SEND needs a header destination")
	})
}

func TestSendReceiptOnlyWhenStored(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.publish("1", "destination", "a", "receipt", "one")
		r.publish("2", "destination", "a", "receipt", "two")
		time.Sleep(time.Minute)
		r.nothing()
		r.client().Ack(2, nil)
		r.receipt("two")
		r.client().Ack(1, nil)
		r.receipt("one")
	}, manual)
}

func TestSendNotStored(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.publish("1", "destination", "a/b", "receipt", "one")
		synctest.Wait()
		r.client().Ack(1, api.Errorf(api.Unavailable, "publish", "try later"))
		require.Equal(r, "one", r.refused("Cannot send to a/b: try later").Get("receipt-id"))
		_, reason := r.client().Closed()
		require.Equal(r, api.Unavailable, api.KindOf(reason))
	}, manual)
}

func TestSendDenied(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.client().Deny(func(verb, name string) error { return api.Errorf(api.Denied, "authorize", "no %s %s", verb, name) })
		r.publish("1", "destination", "secret", "receipt", "one")
		require.Equal(r, "one", r.refused("Insufficient permissions for secret").Get("receipt-id"))
		require.Empty(r, r.client().Published())
	})
}

// TCP back-pressure: above the window nothing is read.
func TestSendBackpressure(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2", "heart-beat", "10000,0")
		sent := make(chan int, 1000)
		go func() {
			defer close(sent)
			for i := range 60 {
				f := frame(stomp.CmdSend, "destination", "a", "receipt", strconv.Itoa(i))
				f.Body = make([]byte, 4000)
				if _, err := r.nc.Write([]byte(r.encode(f))); err != nil {
					return
				}
				sent <- i
			}
		}()
		time.Sleep(10 * time.Minute) // heart-beats are not missed while nothing is read
		require.Len(r, r.client().Published(), 4)
		require.Less(r, len(sent), 30)
		r.client().Manual(false)
		for _, tag := range []uint64{1, 2, 3, 4} {
			r.client().Ack(tag, nil)
		}
		for i := range 60 {
			r.receipt(strconv.Itoa(i))
		}
		synctest.Wait()
		require.Len(r, sent, 60)
	}, func(r *rig) { r.door.Manual, r.door.Window = true, 4 })
}

func TestSendWindowOfUnconfirmed(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		for range 3 {
			r.publish("x", "destination", "a")
		}
		synctest.Wait()
		require.Len(r, r.client().Published(), 2)
		r.client().Stored(1)
		synctest.Wait()
		require.Len(r, r.client().Published(), 3)
	}, func(r *rig) { r.door.Manual, r.door.Window = true, 2 })
}

func TestBlockedReadingDoesNotStopDeliveriesAndBeats(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2", "heart-beat", "0,10000")
		r.subscribe("id", "1", "destination", "b")
		r.publish("x", "destination", "a")
		synctest.Wait()
		r.client().Deliver("1", "b", gatewaytest.Text("hi"))
		require.Equal(r, "hi", string(r.next().Body))
		time.Sleep(61 * time.Second)
		require.GreaterOrEqual(r, len(r.heartBeats()), 6)
	}, func(r *rig) { r.door.Manual, r.door.Window = true, 1 })
}
