package mqttsn

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wire/mqttsn"
)

func TestRegister(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		a := d.register("a/b")
		require.Equal(t, uint16(firstTopicID), a)
		require.Equal(t, a, d.register("a/b"), "the same name, the same id")
		require.Equal(t, a+1, d.register("a/c"))
		for _, bad := range []string{"a/+", "#", "a b", "a#"} {
			d.say(mqttsn.Packet{Type: mqttsn.Register, MsgID: 5, Name: []byte(bad)})
			d.expect(mqttsn.Packet{Type: mqttsn.Regack, MsgID: 5, ReturnCode: mqttsn.NotSupported})
		}
		d.raw([]byte{6, 0x0A, 0, 0, 0, 6}) // no name
		d.expect(mqttsn.Packet{Type: mqttsn.Regack, MsgID: 6, ReturnCode: mqttsn.NotSupported})
		d.register("a/d")
		d.say(mqttsn.Packet{Type: mqttsn.Register, MsgID: 7, Name: []byte("a/e")})
		d.expect(mqttsn.Packet{Type: mqttsn.Regack, MsgID: 7, ReturnCode: mqttsn.NotSupported}) // max_topics
		d.say(publishPacket(a, 0, 0, "x"))
		require.Equal(t, []string{"a/b x"}, r.topics(c))
		d.nothing()
	}, func(r *rig) { r.conf.MaxTopics = 3 })
}

func TestPublishTopicIDTypes(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		d.say(mqttsn.Packet{Type: mqttsn.Publish, TopicID: 9, MsgID: 1, Flags: mqttsn.Flags{QoS: 1, TopicIDType: mqttsn.Predefined}, Data: []byte("p")})
		d.expect(puback(9, 1, 0))
		d.say(mqttsn.Packet{Type: mqttsn.Publish, Name: []byte("ab"), MsgID: 2, Flags: mqttsn.Flags{QoS: 1, TopicIDType: mqttsn.Short, Retain: true}, Data: []byte("s")})
		d.expect(puback('a'<<8|'b', 2, 0))
		require.Equal(t, []string{"pre/defined p", "ab s"}, r.topics(c))
		require.True(t, c.Published()[1].Retain)

		d.say(mqttsn.Packet{Type: mqttsn.Publish, TopicID: 10, MsgID: 3, Flags: mqttsn.Flags{QoS: 1, TopicIDType: mqttsn.Predefined}})
		d.expect(puback(10, 3, mqttsn.InvalidTopicID))
		d.say(publishPacket(9, 4, 1, "a pre-defined id is none of REGISTER"))
		d.expect(puback(9, 4, mqttsn.InvalidTopicID))
		d.say(publishPacket(4000, 0, 0, "QoS 0 is answered too"))
		d.expect(puback(4000, 0, mqttsn.InvalidTopicID))
		for _, typ := range []byte{0, 1} { // reserved ids
			d.raw([]byte{8, 0x0C, 0x20 | typ, 0, 0, 0, 5, 'x'})
			d.expect(puback(0, 5, mqttsn.InvalidTopicID))
		}
		d.raw([]byte{8, 0x0C, 0x23, 4, 1, 0, 5, 'x'}) // reserved type
		d.expect(puback(0x0401, 5, mqttsn.NotSupported))
		c.Deny(func(string, string) error { return api.Errorf(api.Invalid, "publish", "wildcard") }) // as the real door does
		d.say(mqttsn.Packet{Type: mqttsn.Publish, Name: []byte("a#"), MsgID: 2, Flags: mqttsn.Flags{QoS: 1, TopicIDType: mqttsn.Short}})
		d.expect(puback('a'<<8|'#', 2, mqttsn.NotSupported))
		require.Len(t, c.Published(), 2)
	}, func(r *rig) { r.conf.Predefined = []PredefinedTopic{{9, "pre/defined"}} })
}

func TestPublishQoS1(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		id := d.register("a")
		d.say(publishPacket(id, 1, 1, "x"))
		d.nothing() // not stored
		d.say(dup(publishPacket(id, 1, 1, "x")))
		d.say(publishPacket(id, 1, 1, "x"))
		d.nothing()
		require.Len(t, c.Published(), 1, "what is being stored is not published again")
		d.say(publishPacket(id, 1, 1, "y"))
		d.expect(puback(id, 1, mqttsn.Congestion)) // its id is in use
		c.Ack(c.Tags()[0], nil)
		d.expect(puback(id, 1, 0))
		d.say(dup(publishPacket(id, 1, 1, "x"))) // PUBACK was lost
		d.expect(puback(id, 1, 0))
		require.Len(t, c.Published(), 1)
		d.say(publishPacket(id, 1, 1, "x")) // the id used again
		synctest.Wait()
		c.Ack(c.Tags()[0], nil)
		d.expect(puback(id, 1, 0))
		d.say(dup(publishPacket(id, 1, 1, "z"))) // another message; its first copy was lost
		synctest.Wait()
		c.Ack(c.Tags()[0], nil)
		d.expect(puback(id, 1, 0))
		all := c.Published()
		require.Len(t, all, 3)
		require.NotEqual(t, all[0].ID, all[1].ID)
		for _, m := range all {
			require.True(t, m.Confirm)
			require.Equal(t, byte(1), m.QoS)
		}
	}, func(r *rig) { r.door.Manual = true })
}

func TestPublishNotStored(t *testing.T) {
	for err, rc := range map[*api.Error]mqttsn.ReturnCode{
		api.Errorf(api.Unavailable, "publish", "later"): mqttsn.Congestion, api.Errorf(api.Busy, "publish", "full"): mqttsn.Congestion,
		api.Errorf(api.Denied, "publish", "no"): mqttsn.NotSupported,
	} {
		dialogue(t, func(r *rig) {
			d := r.device("192.0.2.1:4000")
			c := d.connect("dev", true)
			id := d.register("a")
			for qos := int8(1); qos <= 2; qos++ {
				d.say(publishPacket(id, 1, qos, "x"))
				synctest.Wait()
				c.Ack(c.Tags()[0], err)
				d.expect(puback(id, 1, rc))
				d.say(dup(publishPacket(id, 1, qos, "x")))
				synctest.Wait()
				require.Len(t, c.Tags(), 1, "it is tried again")
				c.Ack(c.Tags()[0], nil)
				d.next()
			}
		}, func(r *rig) { r.door.Manual = true })
	}
}

func TestPublishDenied(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		id := d.register("a")
		c.Deny(func(string, string) error { return api.Errorf(api.Denied, "publish", "no") })
		for qos := int8(0); qos <= 2; qos++ {
			d.say(publishPacket(id, 7, qos, "x"))
			d.expect(puback(id, 7, mqttsn.NotSupported))
		}
		c.Deny(nil)
		d.say(publishPacket(id, 7, 1, "x"))
		d.expect(puback(id, 7, 0))
	})
}

func TestPublishQoS2(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		id := d.register("a")
		d.say(publishPacket(id, 1, 2, "x"))
		d.say(dup(publishPacket(id, 1, 2, "x")))
		d.say(ackPacket(mqttsn.Pubrel, 9)) // one that is not known
		d.expect(ackPacket(mqttsn.Pubcomp, 9))
		d.nothing()
		c.Ack(c.Tags()[0], nil)
		d.expect(ackPacket(mqttsn.Pubrec, 1))
		d.say(dup(publishPacket(id, 1, 2, "x"))) // PUBREC was lost
		d.expect(ackPacket(mqttsn.Pubrec, 1))
		for range 2 { // PUBCOMP was lost
			d.say(ackPacket(mqttsn.Pubrel, 1))
			d.expect(ackPacket(mqttsn.Pubcomp, 1))
		}
		require.Len(t, c.Published(), 1)
		d.say(publishPacket(id, 1, 2, "x")) // the id used again
		synctest.Wait()
		require.Len(t, c.Published(), 2)
		c.Ack(c.Tags()[0], nil)
		d.expect(ackPacket(mqttsn.Pubrec, 1))
	}, func(r *rig) { r.door.Manual = true })
}

func TestPublishQoS2IsHeldByTheSession(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", false)
		id := d.register("a")
		d.say(publishPacket(id, 5, 2, "x"))
		d.expect(ackPacket(mqttsn.Pubrec, 5))
		d.say(mqttsn.Packet{Type: mqttsn.Disconnect})
		d.only(mqttsn.Disconnect)
		r.closed(c, nil)
		r.door.Found = gateway.Session{Present: true, State: c.Left()}
		c = d.connect("dev", false)
		id = d.register("a")
		d.say(dup(publishPacket(id, 5, 2, "x")))
		d.expect(ackPacket(mqttsn.Pubrec, 5))
		require.Empty(t, c.Published())
	})
}

func TestPublishQoS2NeverReleased(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.connect("dev", true)
		id := d.register("a")
		for i := range uint16(3 * maxHeld) {
			d.say(publishPacket(id, i+1, 2, "x"))
			d.expect(ackPacket(mqttsn.Pubrec, i+1))
		}
		for c := range r.srv.conns {
			require.Len(t, c.in.held, maxHeld)
		}
	})
}

func TestPublishTooMuch(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		id := d.register("a")
		d.say(publishPacket(id, 1, 1, string(make([]byte, 301))))
		d.expect(puback(id, 1, mqttsn.NotSupported))
		require.Equal(t, 1.0, r.errors("too_large"))
		d.say(publishPacket(id, 2, 1, string(make([]byte, 300)))) // in the long form
		d.say(publishPacket(id, 3, 0, "x"))
		synctest.Wait()
		require.Len(t, c.Published(), 2)
		d.say(publishPacket(id, 4, 1, "x"))
		d.expect(puback(id, 4, mqttsn.Congestion)) // the door's window
		d.say(publishPacket(id, 0, 0, "x"))
		d.expect(puback(id, 0, mqttsn.Congestion))
	}, func(r *rig) { r.conf.MaxPayload = 300; r.door.Manual = true; r.door.Window = 2 })
}

func TestPublishQoS0IsLost(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		d.say(publishPacket(d.register("a"), 0, 0, "x"))
		synctest.Wait()
		c.Lose(errors.New("lost"))
		d.nothing()
	}, func(r *rig) { r.door.Manual = true })
}

func TestQoSMinus1OfAConnectedDevice(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		d.say(mqttsn.Packet{Type: mqttsn.Publish, Name: []byte("ab"), Flags: mqttsn.Flags{QoS: -1, TopicIDType: mqttsn.Short}, Data: []byte("x")})
		d.say(mqttsn.Packet{Type: mqttsn.Publish, TopicID: 5, Flags: mqttsn.Flags{QoS: -1, TopicIDType: mqttsn.Predefined}, Data: []byte("y")})
		d.nothing()
		require.Equal(t, []string{"ab x"}, r.topics(c))
		require.Zero(t, c.Published()[0].QoS)
		require.Len(t, r.door.Hellos(), 1)
	})
}
