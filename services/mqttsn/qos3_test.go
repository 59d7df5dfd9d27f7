package mqttsn

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wire/mqttsn"
)

func qosMinus1(payload string) mqttsn.Packet {
	return mqttsn.Packet{Type: mqttsn.Publish, Name: []byte("ab"), Flags: mqttsn.Flags{QoS: -1, TopicIDType: mqttsn.Short}, Data: []byte(payload)}
}

func TestQoSMinus1(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		for i := range 3 {
			d.say(qosMinus1(fmt.Sprint(i)))
		}
		d.say(mqttsn.Packet{Type: mqttsn.Publish, TopicID: 9, Flags: mqttsn.Flags{QoS: -1, TopicIDType: mqttsn.Predefined, Retain: true}, Data: []byte("p")})
		synctest.Wait()
		d.say(qosMinus1("4"))
		d.nothing() // nobody is answered
		require.Len(t, r.door.Hellos(), 1)
		h := r.door.Hellos()[0]
		require.True(t, strings.HasPrefix(h.ClientID, "nobody-"), h.ClientID)
		require.True(t, h.Clean)
		require.False(t, h.Session)
		require.Equal(t, []string{"ab 0", "ab 1", "ab 2", "pre/defined p", "ab 4"}, r.topics(r.client()))
		for _, m := range r.client().Published() {
			require.Zero(t, m.QoS)
			require.False(t, m.Confirm)
		}
		require.True(t, r.client().Published()[3].Retain)
		r.stop()
		r.closed(r.client(), gateway.ErrShutdown)
		d.say(qosMinus1("5"))
		require.Len(t, r.client().Published(), 5)
	}, func(r *rig) {
		r.conf.QoS3ClientID = "nobody"
		r.conf.Predefined = []PredefinedTopic{{9, "pre/defined"}}
	})
}

func TestQoSMinus1IsDropped(t *testing.T) {
	say := map[string]mqttsn.Packet{
		"unknown pre-defined": {Type: mqttsn.Publish, TopicID: 10, Flags: mqttsn.Flags{QoS: -1, TopicIDType: mqttsn.Predefined}},
		"normal topic id":     {Type: mqttsn.Publish, TopicID: 2000, Flags: mqttsn.Flags{QoS: -1}},
		"too large":           qosMinus1(strings.Repeat("x", 101)),
	}
	for name, p := range say {
		t.Run(name, func(t *testing.T) {
			dialogue(t, func(r *rig) {
				d := r.device("192.0.2.1:4000")
				d.say(p)
				d.nothing()
				require.Equal(t, 1.0, r.errors("qos3"))
				require.Empty(t, r.door.Hellos())
			}, func(r *rig) { r.conf.MaxPayload = 100 })
		})
	}
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.say(qosMinus1("x"))
		d.raw([]byte{7, 0x0C, 0x63, 0, 0, 0, 0}) // reserved type
		d.nothing()
		require.Empty(t, r.door.Hellos())
	}, func(r *rig) { r.conf.EnableQoS3 = false })
}

func TestQoSMinus1Refused(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		for range 10 {
			d.say(qosMinus1("x"))
			d.nothing()
		}
		require.Len(t, r.door.Hellos(), 1, "a refusal holds for a while")
		r.door.Deny = nil
		time.Sleep(qos3Pause)
		d.say(qosMinus1("y"))
		d.nothing()
		require.Equal(t, []string{"ab y"}, r.topics(r.client()))
	}, func(r *rig) { r.door.Deny = api.Errorf(api.Denied, "connect", "no") })
}

func TestQoSMinus1IsKicked(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.say(qosMinus1("x"))
		synctest.Wait()
		c := r.client()
		c.Kick(gateway.ErrKicked)
		r.closed(c, gateway.ErrKicked)
		time.Sleep(qos3Pause)
		d.say(qosMinus1("y"))
		d.nothing()
		require.Equal(t, []string{"ab y"}, r.topics(r.client()))
		require.NotSame(t, c, r.client())
	})
}

func TestQoSMinus1Bounds(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		for range maxQoS3 + 5 {
			d.say(qosMinus1("x"))
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Len(t, r.client().Published(), 10, "the door's window")
		require.Equal(t, float64(5+maxQoS3-10), r.errors("qos3"))
		r.client().Stored(10)
		d.say(qosMinus1("y"))
		require.Len(t, r.topics(r.client()), 11)
	}, func(r *rig) { r.door.Delay = time.Second; r.door.Manual = true; r.door.Window = 10 })
}

func TestQoSMinus1EndsWhileItIsLetIn(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.say(qosMinus1("x"))
		synctest.Wait()
		r.stop()
		d.nothing()
	}, func(r *rig) { r.door.Block = true })
}
