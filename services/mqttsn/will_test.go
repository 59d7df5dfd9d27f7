package mqttsn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wire/mqttsn"
)

func withWill(p mqttsn.Packet) mqttsn.Packet { p.Flags.Will = true; return p }

func willTopic(t mqttsn.Type, topic string) mqttsn.Packet {
	return mqttsn.Packet{Type: t, Name: []byte(topic), Flags: mqttsn.Flags{QoS: 1, Retain: true}}
}

// connectWill connects with a will.
func (d *device) connectWill(id string, clean bool) {
	d.Helper()
	d.say(withWill(connectPacket(id, clean, 60)))
	d.only(mqttsn.WillTopicReq)
	d.say(willTopic(mqttsn.WillTopic, "w/t"))
	d.only(mqttsn.WillMsgReq)
	d.say(mqttsn.Packet{Type: mqttsn.WillMsg, Data: []byte("bye")})
	d.only(mqttsn.Connack)
}

func TestWillIsPublishedWhenLost(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.connectWill("dev", true)
		c := r.client()
		d.only(mqttsn.Disconnect)
		r.closed(c, gateway.ErrKeepalive)
		require.Equal(t, []gateway.Message{{Topic: "w/t", Payload: []byte("bye"), QoS: 1, Retain: true}}, c.Published())
	})
}

func TestWillIsNotPublishedAtDisconnect(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.connectWill("dev", true)
		d.say(mqttsn.Packet{Type: mqttsn.Disconnect})
		d.only(mqttsn.Disconnect)
		r.closed(r.client(), nil)
		require.Empty(t, r.client().Published())
	})
}

func TestWillIsNotPublishedAtShutdown(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.connectWill("dev", true)
		r.stop()
		require.Empty(t, r.client().Published())
	})
}

func TestWillIsPublishedAtTakeover(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.connectWill("dev", true)
		c := r.client()
		c.Kick(gateway.ErrTakenOver)
		r.closed(c, gateway.ErrTakenOver)
		require.Len(t, c.Published(), 1)
	})
}

func TestWillDialogueIsRepeated(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.say(withWill(connectPacket("dev", true, 60)))
		d.only(mqttsn.WillTopicReq)
		start := time.Now()
		d.only(mqttsn.WillTopicReq)
		require.InDelta(t, r.conf.RetxInterval.Seconds(), time.Since(start).Seconds(), 0.2)
		d.say(willTopic(mqttsn.WillTopic, "w/t"))
		d.only(mqttsn.WillMsgReq)
		d.say(willTopic(mqttsn.WillTopic, "w/t")) // WILLMSGREQ was lost
		d.only(mqttsn.WillMsgReq)
		d.say(mqttsn.Packet{Type: mqttsn.WillMsg, Data: []byte("bye")})
		d.say(mqttsn.Packet{Type: mqttsn.WillMsg, Data: []byte("bye")})
		d.only(mqttsn.Connack)
		d.say(mqttsn.Packet{Type: mqttsn.WillMsg, Data: []byte("bye")})
		d.nothing()
	})
}

func TestWillDialogueStartsAgain(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.say(withWill(connectPacket("dev", true, 60)))
		d.only(mqttsn.WillTopicReq)
		d.say(willTopic(mqttsn.WillTopic, "w/t"))
		d.only(mqttsn.WillMsgReq)
		d.connectWill("dev", true)
		require.Len(t, r.door.Hellos(), 1)
	})
}

func TestWillDialogueIsGivenUp(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.say(withWill(connectPacket("dev", true, 60)))
		for range 3 { // no more bytes than the stranger has sent
			d.only(mqttsn.WillTopicReq)
		}
		time.Sleep(time.Minute)
		d.nothing()
		require.Empty(t, r.srv.conns)
		require.Empty(t, r.door.Hellos())
	})
}

func TestWillDialogueEmptyTopic(t *testing.T) {
	for _, raw := range [][]byte{{2, 7}, {3, 7, 0}, {3, 7, 0x60}} {
		dialogue(t, func(r *rig) {
			d := r.device("192.0.2.1:4000")
			d.say(withWill(connectPacket("dev", true, 60)))
			d.only(mqttsn.WillTopicReq)
			d.raw(raw)
			d.only(mqttsn.Connack)
			r.client().Kick(gateway.ErrKicked)
			r.closed(r.client(), gateway.ErrKicked)
			require.Empty(t, r.client().Published())
		})
	}
}

func TestWillDialogueOutOfOrder(t *testing.T) {
	for name, p := range map[string]mqttsn.Packet{
		"message before topic": {Type: mqttsn.WillMsg, Data: []byte("bye")},
		"register":             {Type: mqttsn.Register, MsgID: 1, Name: []byte("a")},
		"publish":              publishPacket(2000, 1, 1, "x"),
		"disconnect":           {Type: mqttsn.Disconnect},
	} {
		t.Run(name, func(t *testing.T) {
			dialogue(t, func(r *rig) {
				d := r.device("192.0.2.1:4000")
				d.say(withWill(connectPacket("dev", true, 60)))
				d.only(mqttsn.WillTopicReq)
				d.say(p)
				d.only(mqttsn.Disconnect)
				require.Empty(t, r.srv.conns)
			})
		})
	}
}

func TestWillThatCannotBe(t *testing.T) {
	long := make([]byte, 200)
	for name, say := range map[string][]mqttsn.Packet{
		"wildcard": {willTopic(mqttsn.WillTopic, "a/#")},
		"too long": {willTopic(mqttsn.WillTopic, "a"), {Type: mqttsn.WillMsg, Data: long}},
	} {
		t.Run(name, func(t *testing.T) {
			dialogue(t, func(r *rig) {
				d := r.device("192.0.2.1:4000")
				d.say(withWill(connectPacket("dev", true, 60)))
				for _, p := range say {
					d.next()
					d.say(p)
				}
				d.expect(mqttsn.Packet{Type: mqttsn.Connack, ReturnCode: mqttsn.NotSupported})
				require.Empty(t, r.door.Hellos())
			}, func(r *rig) { r.conf.MaxPayload = 100 })
		})
	}
}

func TestWillUpdates(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		d.say(mqttsn.Packet{Type: mqttsn.WillMsgUpd, Data: []byte("x")})
		d.expect(mqttsn.Packet{Type: mqttsn.WillMsgResp, ReturnCode: mqttsn.NotSupported}) // there is no will
		d.say(willTopic(mqttsn.WillTopicUpd, "a/+"))
		d.expect(mqttsn.Packet{Type: mqttsn.WillTopicResp, ReturnCode: mqttsn.NotSupported})
		d.say(willTopic(mqttsn.WillTopicUpd, "one"))
		d.expect(mqttsn.Packet{Type: mqttsn.WillTopicResp})
		d.say(mqttsn.Packet{Type: mqttsn.WillMsgUpd, Data: []byte("x")})
		d.expect(mqttsn.Packet{Type: mqttsn.WillMsgResp})
		d.say(willTopic(mqttsn.WillTopicUpd, "two"))
		d.expect(mqttsn.Packet{Type: mqttsn.WillTopicResp})
		d.raw([]byte{4, 0x1A, 0x60, 'a'}) // QoS -1
		d.expect(mqttsn.Packet{Type: mqttsn.WillTopicResp, ReturnCode: mqttsn.NotSupported})
		c.Kick(gateway.ErrKicked)
		r.closed(c, gateway.ErrKicked)
		require.Equal(t, []string{"two x"}, r.topics(c))
	})
}

func TestWillDeleted(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.connectWill("dev", true)
		d.say(mqttsn.Packet{Type: mqttsn.WillTopicUpd, Empty: true})
		d.expect(mqttsn.Packet{Type: mqttsn.WillTopicResp})
		r.client().Kick(gateway.ErrKicked)
		r.closed(r.client(), gateway.ErrKicked)
		require.Empty(t, r.client().Published())
	})
}

// The table of MQTT-SN 1.2 §6.3.
func TestWillOfTheSession(t *testing.T) {
	for _, x := range []struct {
		clean, asks bool
		want        []string
	}{
		{false, false, []string{"old kept"}}, {false, true, []string{"w/t bye"}}, {true, false, nil}, {true, true, []string{"w/t bye"}},
	} {
		dialogue(t, func(r *rig) {
			d := r.device("192.0.2.1:4000")
			if x.asks {
				d.connectWill("dev", x.clean)
			} else {
				d.connect("dev", x.clean)
			}
			c := r.client()
			c.Kick(gateway.ErrKicked)
			r.closed(c, gateway.ErrKicked)
			require.Equal(t, x.want, r.topics(c))
			left := recall(c.Left())
			require.Equal(t, len(x.want) > 0 && !x.clean, left.Will != nil, "a session keeps its will")
		}, func(r *rig) {
			r.door.Found = gateway.Session{Present: true, State: []byte(`{"v":1,"will":{"topic":"old","payload":"a2VwdA=="}}`)}
		})
	}
}

func TestWillDenied(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.connectWill("dev", true)
		c := r.client()
		c.Deny(func(string, string) error { return api.Errorf(api.Denied, "publish", "no") })
		c.Kick(gateway.ErrKicked)
		r.closed(c, gateway.ErrKicked)
		require.Empty(t, c.Published())
		require.Contains(t, r.log.String(), "will not published")
	})
}
