package mqttsn

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/mqttsn"
)

// TestPanicAtTheDoor: a fault of ours ends that device's attempt and nothing else.
func TestPanicAtTheDoor(t *testing.T) {
	dialogue(t, func(r *rig) {
		sound := r.srv.door
		r.srv.door = panicDoor{}
		r.srv.env.Log = slog.New(slog.DiscardHandler) // the rig looks for panics in the other one
		d := r.device("192.0.2.1:4000")
		d.say(connectPacket("dev", true, 60))
		p := d.next()
		require.Equal(t, mqttsn.Connack, p.Type)
		require.Equal(t, mqttsn.Congestion, p.ReturnCode, "it may try again")
		r.srv.door = sound
		d.connect("dev", true)
	})
}

// TestPanicEndsOneDevice: so does one anywhere else.
func TestPanicEndsOneDevice(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.srv.env.Log = slog.New(slog.DiscardHandler)
		d, other := r.device("192.0.2.1:4000"), r.device("192.0.2.2:4000")
		c := d.connect("dev", true)
		sound := other.connect("other", true)
		d.link.value.(*station).direct.guard(func() { panic("fault") })
		d.only(mqttsn.Disconnect)
		r.closed(c, errPanic)
		r.open(sound)
	})
}
