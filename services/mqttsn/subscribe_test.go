package mqttsn

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/wire/mqttsn"
)

func subscribePacket(filter string, qos int8) mqttsn.Packet {
	return mqttsn.Packet{Type: mqttsn.Subscribe, MsgID: 3, Name: []byte(filter), Flags: mqttsn.Flags{QoS: qos}}
}

func suback(topicID uint16, qos int8, rc mqttsn.ReturnCode) mqttsn.Packet {
	return mqttsn.Packet{Type: mqttsn.Suback, MsgID: 3, TopicID: topicID, Flags: mqttsn.Flags{QoS: qos}, ReturnCode: rc}
}

func TestSubscribeAsksTheDoor(t *testing.T) {
	for _, clean := range []bool{true, false} {
		dialogue(t, func(r *rig) {
			d := r.device("192.0.2.1:4000")
			c := d.connect("dev", clean)
			require.Equal(t, uint16(firstTopicID), d.subscribe("a/b", 1))
			require.Zero(t, d.subscribe("a/+", 2), "a filter with wildcards has no id")
			require.Zero(t, d.subscribe("#", 0))
			require.Equal(t, []gateway.Subscription{
				{ID: "a/b", Filter: "a/b", QoS: 1, Durable: !clean, Main: !clean, Retained: true},
				{ID: "a/+", Filter: "a/+", QoS: 2, Durable: !clean, Main: !clean, Retained: true},
				{ID: "#", Filter: "#", Durable: !clean, Main: !clean, Retained: true},
			}, c.Subscriptions())
			require.Equal(t, uint16(firstTopicID), d.register("a/b"))
		})
	}
}

func TestSubscribeTopicIDTypes(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		d.say(mqttsn.Packet{Type: mqttsn.Subscribe, MsgID: 3, TopicID: 9, Flags: mqttsn.Flags{QoS: 1, TopicIDType: mqttsn.Predefined}})
		d.expect(suback(9, 1, 0))
		d.say(mqttsn.Packet{Type: mqttsn.Subscribe, MsgID: 3, TopicID: 10, Flags: mqttsn.Flags{QoS: 1, TopicIDType: mqttsn.Predefined}})
		d.expect(suback(0, 0, mqttsn.InvalidTopicID))
		d.say(mqttsn.Packet{Type: mqttsn.Subscribe, MsgID: 3, Name: []byte("ab"), Flags: mqttsn.Flags{TopicIDType: mqttsn.Short}})
		require.Zero(t, d.expect(suback(0, 0, 0)).TopicID)
		d.raw([]byte{7, 0x12, 3, 0, 3, 'a', 'b'}) // reserved type
		d.expect(suback(0, 0, mqttsn.NotSupported))
		d.raw([]byte{7, 0x12, 1, 0, 3, 0, 0}) // reserved id
		d.expect(suback(0, 0, mqttsn.InvalidTopicID))
		d.raw([]byte{5, 0x12, 0, 0, 3}) // no name
		d.expect(suback(0, 0, mqttsn.NotSupported))
		require.Len(t, c.Subscriptions(), 2)
		require.Equal(t, "pre/defined", c.Subscriptions()[0].Filter)
	}, func(r *rig) { r.conf.Predefined = []PredefinedTopic{{9, "pre/defined"}} })
}

func TestSubscribeQoSMinus1IsQoS0(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		d.say(subscribePacket("a", -1))
		d.expect(suback(firstTopicID, 0, 0))
		require.Zero(t, c.Subscriptions()[0].QoS)
	})
}

func TestSubscribeRefused(t *testing.T) {
	for kind, rc := range map[api.Kind]mqttsn.ReturnCode{
		api.Denied: mqttsn.NotSupported, api.Invalid: mqttsn.NotSupported, api.Busy: mqttsn.Congestion, api.Unavailable: mqttsn.Congestion,
	} {
		dialogue(t, func(r *rig) {
			d := r.device("192.0.2.1:4000")
			c := d.connect("dev", true)
			c.Deny(func(string, string) error { return api.Errorf(kind, "subscribe", "no") })
			d.say(subscribePacket("a", 1))
			d.expect(suback(0, 0, rc))
			c.Deny(nil)
			d.say(subscribePacket("a", 1))
			d.expect(suback(firstTopicID, 1, 0))
		})
	}
}

func TestSubscribeTimeout(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		release := c.Hold()
		defer release()
		d.say(subscribePacket("a", 1))
		start := time.Now()
		d.expect(suback(0, 0, mqttsn.Congestion))
		require.Equal(t, callTimeout, time.Since(start))
	})
}

func TestSubscribeAgain(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		d.subscribe("a", 1)
		d.say(dup(subscribePacket("a", 1))) // SUBACK was lost
		d.expect(suback(firstTopicID, 1, 0))
		require.Len(t, c.Subscriptions(), 1)
		d.subscribe("a", 1) // once more: retained messages come again
		d.subscribe("a", 2)
		require.Len(t, c.Subscriptions(), 3)
		require.Equal(t, []gatewaytest.Unsubscription{{ID: "a"}, {ID: "a"}}, c.Unsubscriptions())
	})
}

func TestSubscribeAgainInASession(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", false)
		d.subscribe("a", 1)
		d.subscribe("a", 1)
		require.Len(t, c.Subscriptions(), 1)
		d.subscribe("a", 0)
		require.Len(t, c.Subscriptions(), 2)
	})
}

func TestSubscribeOneAtATime(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		release := c.Hold()
		for i := range maxOps + 2 {
			p := subscribePacket(string(rune('a'+i)), 0)
			p.MsgID = uint16(i + 1)
			d.say(p)
		}
		p := d.expect(mqttsn.Packet{Type: mqttsn.Suback, ReturnCode: mqttsn.Congestion})
		require.Equal(t, uint16(maxOps+2), p.MsgID)
		d.say(mqttsn.Packet{Type: mqttsn.Pingreq})
		d.only(mqttsn.Pingresp)
		d.say(publishPacket(d.register("x"), 1, 1, "goes on"))
		d.expect(puback(0, 1, 0))
		release()
		for i := range maxOps + 1 {
			p := d.expect(mqttsn.Packet{Type: mqttsn.Suback})
			require.Equal(t, uint16(i+1), p.MsgID, "in order")
		}
		require.Len(t, c.Subscriptions(), maxOps+1)
	})
}

func TestSubscribeWithoutAFreeID(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		d.register("a")
		d.say(subscribePacket("b", 0))
		d.expect(suback(0, 0, mqttsn.NotSupported))
		d.subscribe("+", 0)
		require.Len(t, c.Subscriptions(), 1)
	}, func(r *rig) { r.conf.MaxTopics = 1 })
}

func TestUnsubscribe(t *testing.T) {
	for _, clean := range []bool{true, false} {
		dialogue(t, func(r *rig) {
			d := r.device("192.0.2.1:4000")
			c := d.connect("dev", clean)
			d.subscribe("a", 1)
			for range 2 { // UNSUBACK was lost
				d.say(mqttsn.Packet{Type: mqttsn.Unsubscribe, MsgID: 4, Name: []byte("a")})
				d.expect(ackPacket(mqttsn.Unsuback, 4))
			}
			require.Equal(t, []gatewaytest.Unsubscription{{ID: "a", Forget: !clean}}, c.Unsubscriptions())
			for _, b := range [][]byte{{7, 0x14, 1, 0, 4, 0, 9}, {7, 0x14, 3, 0, 4, 0, 9}, {7, 0x14, 2, 0, 4, 'a', 'b'}} {
				d.raw(b)
				d.expect(ackPacket(mqttsn.Unsuback, 4))
			}
		})
	}
}

func TestUnsubscribeDropsWhatWaits(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		id := d.subscribe("a", 1)
		first := c.Deliver("a", "a", message("1", 1))
		p := d.expect(mqttsn.Packet{Type: mqttsn.Publish, TopicID: id, Flags: mqttsn.Flags{QoS: 1}})
		second := c.Deliver("a", "a", message("2", 1))
		synctest.Wait()
		d.say(mqttsn.Packet{Type: mqttsn.Unsubscribe, MsgID: 4, Name: []byte("a")})
		d.only(mqttsn.Unsuback)
		r.outcome(second, 1, gateway.ErrClosed)
		d.say(puback(id, p.MsgID, 0))
		r.outcome(first, 1, nil)
		d.nothing()
	})
}
