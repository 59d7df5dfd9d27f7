package stomp

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/wire/stomp"
)

func TestDisconnect(t *testing.T) {
	for _, receipt := range []string{"", "bye"} {
		dialogue(t, func(r *rig) {
			r.connect("1.2")
			r.send(stomp.CmdDisconnect, "receipt", receipt)
			if receipt != "" {
				r.receipt(receipt)
			}
			r.ended()
			_, reason := r.client().Closed()
			require.NoError(r, reason)
		})
	}
}

func TestDisconnectWaitsForPublishes(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.subscribe("id", "s", "destination", "a")
		r.publish("1", "destination", "a", "receipt", "one")
		r.publish("2", "destination", "a")
		r.send(stomp.CmdDisconnect, "receipt", "bye")
		r.publish("3", "destination", "a") // nothing after DISCONNECT counts
		time.Sleep(10 * time.Second)
		r.nothing()
		outcome(t, r.client().Deliver("s", "a", gatewaytest.Text("late")), 1, gateway.ErrClosed)
		r.client().Ack(1, nil)
		r.receipt("one")
		r.nothing() // one without receipt is not stored yet
		r.client().Stored(1)
		r.receipt("bye")
		r.ended()
		require.Len(r, r.client().Published(), 2)
	}, manual)
}

func TestDisconnectWithoutReceiptStillGivesOthers(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.publish("1", "destination", "a", "receipt", "one")
		r.publish("2", "destination", "a")
		r.send(stomp.CmdDisconnect)
		synctest.Wait()
		r.client().Ack(1, nil)
		r.receipt("one")
		r.ended()
	}, manual)
}

func TestDisconnectAfterFailedPublish(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.publish("1", "destination", "a", "receipt", "one")
		r.send(stomp.CmdDisconnect, "receipt", "bye")
		synctest.Wait()
		r.client().Ack(1, api.Errorf(api.Unavailable, "publish", "try later"))
		require.Equal(r, "one", r.refused("try later").Get("receipt-id"))
	}, manual)
}

func TestDisconnectTimeout(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.publish("1", "destination", "a", "receipt", "one")
		start := time.Now()
		r.send(stomp.CmdDisconnect, "receipt", "bye")
		require.Equal(r, "bye", r.refused("not everything could be stored in time").Get("receipt-id"))
		require.Equal(r, leaveTimeout+linger, time.Since(start))
	}, manual)
}

// TestDisconnectAfterALostPublish: the receipt of DISCONNECT would say that all
// before it is processed. Without one nobody has asked.
func TestDisconnectAfterALostPublish(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.publish("1", "destination", "a")
		r.publish("2", "destination", "a")
		synctest.Wait()
		r.client().Lose(api.Errorf(api.Unavailable, "publish", "not acknowledged"))
		r.send(stomp.CmdDisconnect, "receipt", "bye")
		r.nothing()
		r.client().Stored(1)
		require.Equal(r, "bye", r.refused("1 message without receipt is not stored").Get("receipt-id"))
	}, manual)
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.publish("1", "destination", "a")
		synctest.Wait()
		r.client().Lose(api.Errorf(api.Busy, "publish", "queue is full"))
		r.send(stomp.CmdDisconnect)
		r.ended()
	}, manual)
}
