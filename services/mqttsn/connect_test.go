package mqttsn

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/listen"
	"sluice/pkg/wire/mqttsn"
)

func TestConnectAsksTheDoor(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.link.identity = listen.Identity{PSK: "meter", CertCN: "cn"}
		d.say(connectPacket("dev", true, 60))
		d.expect(mqttsn.Packet{Type: mqttsn.Connack})
		h := r.door.Hellos()[0]
		require.Equal(t, "dev", h.ClientID)
		require.Equal(t, "meter", h.Username)
		require.Equal(t, "cn", h.CertCN)
		require.Equal(t, "192.0.2.1:4000", h.Peer)
		require.Equal(t, "MQTT-SN", h.ProtoName)
		require.Equal(t, "1.2", h.ProtoVer)
		require.Equal(t, time.Minute, h.Keepalive)
		require.True(t, h.Clean)
		require.True(t, h.Session)
		require.False(t, h.Wake)
		for name, want := range map[string]string{"psk_identity": "meter", "clientid": "dev", "headers.clientid": "dev", "wireless_node_id": ""} {
			got, ok := h.Packet(name)
			require.True(t, ok, name)
			require.Equal(t, want, got, name)
		}
		_, ok := h.Packet("other")
		require.False(t, ok)
		require.True(t, d.link.proven)
	})
}

func TestConnectRefused(t *testing.T) {
	for kind, want := range map[api.Kind]mqttsn.ReturnCode{
		api.Denied: mqttsn.NotSupported, api.Unavailable: mqttsn.Congestion, api.Busy: mqttsn.Congestion, api.Invalid: mqttsn.NotSupported,
	} {
		dialogue(t, func(r *rig) {
			d := r.device("192.0.2.1:4000")
			d.say(connectPacket("dev", true, 60))
			d.expect(mqttsn.Packet{Type: mqttsn.Connack, ReturnCode: want})
			synctest.Wait()
			require.False(t, d.link.proven)
			d.say(mqttsn.Packet{Type: mqttsn.Pingreq})
			d.only(mqttsn.Disconnect)
		}, func(r *rig) { r.door.Deny = api.Errorf(kind, "connect", "no") })
	}
}

func TestConnectTimeout(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		start := time.Now()
		d.say(connectPacket("dev", true, 60))
		d.expect(mqttsn.Packet{Type: mqttsn.Connack, ReturnCode: mqttsn.Congestion})
		require.Equal(t, r.conf.AuthTimeout, time.Since(start))
	}, func(r *rig) { r.door.Block = true })
}

func TestConnectProtocolID(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.raw([]byte{9, 4, 4, 2, 0, 60, 'd', 'e', 'v'})
		d.expect(mqttsn.Packet{Type: mqttsn.Connack, ReturnCode: mqttsn.NotSupported})
		require.Empty(t, r.door.Hellos())
	})
}

func TestConnectEmptyClientID(t *testing.T) {
	empty := []byte{6, 4, 4, 1, 0, 60}
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.raw(empty)
		d.expect(mqttsn.Packet{Type: mqttsn.Connack, ReturnCode: mqttsn.NotSupported})
	})
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.raw(empty)
		d.expect(mqttsn.Packet{Type: mqttsn.Connack})
		e := r.device("192.0.2.2:4000")
		e.raw([]byte{6, 4, 0, 1, 0, 60}) // a session needs a name
		e.expect(mqttsn.Packet{Type: mqttsn.Connack, ReturnCode: mqttsn.NotSupported})
	}, func(r *rig) { r.conf.AllowEmptyClientID = true })
}

func TestConnectRepeatedWhileTheDoorDecides(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.say(connectPacket("dev", true, 60))
		d.say(connectPacket("dev", true, 60))
		d.say(mqttsn.Packet{Type: mqttsn.Subscribe, MsgID: 1, Name: []byte("early")})
		d.expect(mqttsn.Packet{Type: mqttsn.Connack})
		d.nothing()
		require.Len(t, r.door.Hellos(), 1)
		require.Empty(t, r.client().Subscriptions())
	}, func(r *rig) { r.door.Delay = time.Second })
}

func TestConnackLost(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.connect("dev", true)
		d.connect("dev", true)
		require.Len(t, r.door.Hellos(), 1, "the same CONNECT again is no new one")
	})
}

func TestConnectOfAConnectedDevice(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		old := d.connect("dev", true)
		id := d.register("a/b")
		d.connect("dev", true)
		require.Len(t, r.door.Hellos(), 2)
		r.closed(old, gateway.ErrTakenOver)
		d.say(publishPacket(id, 1, 1, "x"))
		d.expect(puback(id, 1, mqttsn.InvalidTopicID)) // registrations are forgotten
	})
}

func TestDisconnectWhileTheDoorDecides(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.say(connectPacket("dev", true, 60))
		d.say(mqttsn.Packet{Type: mqttsn.Disconnect})
		d.only(mqttsn.Disconnect)
		time.Sleep(2 * time.Second)
		d.nothing()
		r.closed(r.client(), gateway.ErrClosed)
	}, func(r *rig) { r.door.Delay = time.Second })
}

func TestSessionIsResumed(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", false)
		o := c.Deliver(api.MainQueue, "a/b", message("x", 2), numbered(7))
		d.expect(mqttsn.Packet{Type: mqttsn.Register, Name: []byte("a/b"), MsgID: 8})
		d.say(mqttsn.Packet{Type: mqttsn.Regack, MsgID: 8, TopicID: firstTopicID})
		d.expect(mqttsn.Packet{Type: mqttsn.Publish, Flags: mqttsn.Flags{QoS: 1}, MsgID: 8, Data: []byte("x")})
		d.say(puback(firstTopicID, 8, 0))
		r.outcome(o, 1, nil)
		d.say(mqttsn.Packet{Type: mqttsn.Subscribe, MsgID: 9, Name: []byte("a/b"), Flags: mqttsn.Flags{QoS: 1}})
		d.expect(mqttsn.Packet{Type: mqttsn.Suback, Flags: mqttsn.Flags{QoS: 1}, TopicID: firstTopicID})
		require.Empty(t, c.Unsubscriptions(), "a session's subscription is not touched in between")
	}, func(r *rig) {
		r.door.Found = gateway.Session{Present: true, Subs: []gateway.Subscription{{ID: "a/b", Filter: "a/b", QoS: 1, Durable: true, Main: true}}}
	})
}

func TestSubsResumeRegistersFirst(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", false)
		c.Deliver(api.MainQueue, "a/b", message("x", 0), numbered(1))
		for _, name := range []string{"a/b", "c"} {
			p := d.expect(mqttsn.Packet{Type: mqttsn.Register, Name: []byte(name)})
			d.nothing()
			d.say(mqttsn.Packet{Type: mqttsn.Regack, MsgID: p.MsgID, TopicID: p.TopicID})
		}
		d.expect(mqttsn.Packet{Type: mqttsn.Publish, Data: []byte("x")})
	}, func(r *rig) {
		r.conf.SubsResume = true
		for _, f := range []string{"a/b", "+/w", "c"} {
			r.door.Found.Subs = append(r.door.Found.Subs, gateway.Subscription{ID: f, Filter: f, QoS: 1, Main: true})
		}
		r.door.Found.Present = true
	})
}

func TestKeepalive(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		time.Sleep(80 * time.Second)
		d.say(mqttsn.Packet{Type: mqttsn.Pingreq})
		d.only(mqttsn.Pingresp)
		start := time.Now()
		d.only(mqttsn.Disconnect)
		require.InDelta(t, 90, time.Since(start).Seconds(), 0.2)
		r.closed(c, gateway.ErrKeepalive)
		d.say(mqttsn.Packet{Type: mqttsn.Pingreq})
		d.only(mqttsn.Disconnect)
	})
}

func TestNoKeepalive(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.say(connectPacket("dev", true, 0))
		d.only(mqttsn.Connack)
		time.Sleep(24 * time.Hour)
		r.open(r.client())
		require.Zero(t, r.srv.wheel.Len())
	})
}

func TestTakenOver(t *testing.T) {
	for _, why := range []error{gateway.ErrTakenOver, gateway.ErrKicked, gateway.ErrBanned, gateway.ErrExpired} {
		dialogue(t, func(r *rig) {
			d := r.device("192.0.2.1:4000")
			c := d.connect("dev", true)
			c.Kick(why)
			d.only(mqttsn.Disconnect)
			r.closed(c, why)
			require.True(t, d.link.isClosed())
		})
	}
}

func TestAnotherDeviceHasTheAddress(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		one := d.connect("one", true)
		o := one.Deliver("s", "tt", message("for one", 1))
		d.expect(mqttsn.Packet{Type: mqttsn.Publish, Flags: mqttsn.Flags{QoS: 1, TopicIDType: mqttsn.Short}})
		two := d.connect("two", true)
		r.closed(one, gateway.ErrClosed)
		r.outcome(o, 1, gateway.ErrClosed)
		require.NotSame(t, one, two)
		d.say(mqttsn.Packet{Type: mqttsn.Pingreq})
		d.only(mqttsn.Pingresp)
	})
}

func TestLinkGone(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		r.srv.gone(d.link)
		r.closed(c, gateway.ErrClosed)
		d.nothing()
		r.srv.gone(r.device("192.0.2.2:1").link) // one that said nothing
	})
}

func TestShutdownSaysGoodbye(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, e := r.device("192.0.2.1:4000"), r.device("192.0.2.2:4000")
		c := d.connect("dev", false)
		r.stop()
		d.only(mqttsn.Disconnect)
		r.closed(c, gateway.ErrShutdown)
		e.say(connectPacket("late", true, 60))
		e.expect(mqttsn.Packet{Type: mqttsn.Connack, ReturnCode: mqttsn.Congestion})
	})
}

func TestTooManyAtTheDoor(t *testing.T) {
	dialogue(t, func(r *rig) {
		var all []*device
		for i := range maxJoining + 1 {
			d := r.device("192.0.2.1:" + string(rune('a'+i)))
			d.say(connectPacket("d"+string(rune('a'+i)), true, 60))
			all = append(all, d)
		}
		all[maxJoining].expect(mqttsn.Packet{Type: mqttsn.Connack, ReturnCode: mqttsn.Congestion})
		all[0].expect(mqttsn.Packet{Type: mqttsn.Connack, ReturnCode: mqttsn.Accepted})
	}, func(r *rig) { r.door.Delay = time.Second })
}

// A link may be closed while a datagram of it is on its way to the edge.
func TestAnswerToALinkThatIsGone(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		r.srv.mu.Lock()
		require.Len(t, r.srv.conns, 1)
		r.srv.mu.Unlock()
		d.link.Close()
		b, err := (&mqttsn.Packet{Type: mqttsn.Pingreq}).Append(nil)
		require.NoError(t, err)
		r.srv.packet(d.link, b)
		r.closed(c, gateway.ErrClosed)
		d.nothing()
	})
}
