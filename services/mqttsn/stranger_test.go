package mqttsn

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/mqttsn"
)

func TestStrangerIsSentAway(t *testing.T) {
	for _, p := range []mqttsn.Packet{
		{Type: mqttsn.Pingreq}, {Type: mqttsn.Pingresp}, {Type: mqttsn.Disconnect}, {Type: mqttsn.Disconnect, HasDuration: true, Duration: 60},
		{Type: mqttsn.Register, MsgID: 1, Name: []byte("a")}, {Type: mqttsn.Regack, MsgID: 1}, publishPacket(1025, 1, 0, "x"), publishPacket(1025, 1, 1, "x"),
		puback(1, 1, 0), ackPacket(mqttsn.Pubrec, 1), ackPacket(mqttsn.Pubrel, 1), ackPacket(mqttsn.Pubcomp, 1),
		{Type: mqttsn.Subscribe, MsgID: 1, Name: []byte("a")}, {Type: mqttsn.Unsubscribe, MsgID: 1, Name: []byte("a")},
		{Type: mqttsn.WillTopic, Name: []byte("a")}, {Type: mqttsn.WillMsg}, {Type: mqttsn.WillTopicUpd, Empty: true}, {Type: mqttsn.WillMsgUpd},
		{Type: mqttsn.Connack}, {Type: mqttsn.Suback}, {Type: mqttsn.Unsuback}, {Type: mqttsn.WillTopicReq},
	} {
		t.Run(p.Type.String(), func(t *testing.T) {
			dialogue(t, func(r *rig) {
				d := r.device("192.0.2.1:4000")
				d.say(p)
				d.only(mqttsn.Disconnect) // and it is not longer than what came: the link would refuse it
				d.nothing()
				require.Empty(t, r.srv.conns)
			})
		})
	}
}

func TestStrangerIsNotAnswered(t *testing.T) {
	for name, b := range map[string][]byte{
		"ADVERTISE": {5, 0, 1, 0, 60}, "GWINFO": {3, 2, 1}, "nothing": {}, "length 0": {0, 4}, "too long": {3, 0x18}, "too short": {2, 0x18, 0},
		"reserved type": {2, 3}, "SEARCHGW of MQTT-SN 2.0": {9, 1, 2, 3, 4, 5, 6, 7, 8},
	} {
		t.Run(name, func(t *testing.T) {
			dialogue(t, func(r *rig) {
				d := r.device("192.0.2.1:4000")
				d.raw(b)
				d.nothing()
			})
		})
	}
}

func TestMalformedIsCounted(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		d.raw([]byte{0, 0})
		d.raw([]byte{2, 0x1E})
		d.nothing()
		require.Equal(t, 2.0, r.errors("malformed"))
		r.open(c)
	})
}

// Two gateways whose addresses somebody puts on each other's datagrams would
// answer for ever.
func TestUnaskedAnswersAreBounded(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		count := func(n int) (answers int) {
			for range n {
				d.say(mqttsn.Packet{Type: mqttsn.Disconnect})
			}
			synctest.Wait()
			for ; len(d.got) > 0; answers++ {
				<-d.got
			}
			return answers
		}
		require.Equal(t, maxAnswers, count(100))
		time.Sleep(answersTime)
		require.Equal(t, maxAnswers, count(100))
	})
}

func TestSearchGw(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.say(mqttsn.Packet{Type: mqttsn.SearchGw, Radius: 1})
		p := d.next()
		require.Equal(t, mqttsn.GwInfo, p.Type)
		require.Equal(t, uint8(42), p.GwID)
		require.Empty(t, p.Data)
		d.connect("dev", true)
		d.say(mqttsn.Packet{Type: mqttsn.SearchGw})
		d.only(mqttsn.GwInfo)
		require.Empty(t, r.client().Published())
	}, func(r *rig) { r.conf.GatewayID = 42 })
}

func TestDisconnectIsAnswered(t *testing.T) {
	for _, zero := range []bool{false, true} { // a duration of 0 is none
		dialogue(t, func(r *rig) {
			d := r.device("192.0.2.1:4000")
			c := d.connect("dev", true)
			bye := mqttsn.Packet{Type: mqttsn.Disconnect, HasDuration: zero}
			d.say(bye)
			d.only(mqttsn.Disconnect)
			r.closed(c, nil)
			require.True(t, d.link.isClosed())
			d.say(bye) // the answer was lost
			d.only(mqttsn.Disconnect)
			require.Empty(t, c.Sleeps())
		})
	}
}

func TestUnexpectedOfADevice(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		for _, p := range []mqttsn.Packet{
			{Type: mqttsn.Connack}, {Type: mqttsn.Suback}, {Type: mqttsn.WillTopicReq}, {Type: mqttsn.Advertise}, {Type: mqttsn.GwInfo},
			{Type: mqttsn.Regack, MsgID: 3}, puback(1, 3, 0), ackPacket(mqttsn.Pubcomp, 3), {Type: mqttsn.WillTopic, Empty: true}, {Type: mqttsn.Pingresp},
		} {
			d.say(p)
		}
		d.nothing()
		require.Equal(t, 3.0, r.errors("unexpected"))
		r.open(c)
	})
}

func TestDevicesBehindAForwarder(t *testing.T) {
	dialogue(t, func(r *rig) {
		one, two := r.device("192.0.2.1:4000"), r.device("192.0.2.1:4000")
		one.link.node = []byte("node-1")
		two.link.node = []byte("n2")
		direct := r.device("192.0.2.1:4000")
		c1 := one.connect("one", true)
		// All come by the same link of the forwarder, which tells them apart.
		two.link.with(func() { two.link.value = one.link.value })
		direct.link.with(func() { direct.link.value = one.link.value })
		c2, c3 := two.connect("two", true), direct.connect("forwarder", true)
		id := one.register("a")
		one.say(publishPacket(id, 1, 1, "x"))
		one.expect(puback(id, 1, 0))
		two.say(publishPacket(id, 1, 1, "x"))
		two.expect(puback(id, 1, mqttsn.InvalidTopicID)) // ids are a device's own
		require.Equal(t, "node-1", one.link.value.(*station).nodes["node-1"].at.node)
		two.say(mqttsn.Packet{Type: mqttsn.Disconnect})
		two.only(mqttsn.Disconnect)
		r.closed(c2, nil)
		require.False(t, two.link.isClosed(), "others are behind it")
		one.say(mqttsn.Packet{Type: mqttsn.SearchGw})
		one.only(mqttsn.GwInfo)
		r.srv.gone(one.link)
		r.closed(c1, gateway.ErrClosed)
		r.closed(c3, gateway.ErrClosed)
	})
}

func TestForwardedGarbage(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		for _, b := range [][]byte{
			{3, 0xFE, 0, 2, 0x16},                   // no node id
			{4, 0xFE, 0, 1},                         // nothing in it
			{4, 0xFE, 0, 1, 4, 0xFE, 0, 2, 2, 0x16}, // wrapped twice
			{9, 0xFE, 0, 1, 2, 0x16},
		} {
			d.raw(b)
		}
		d.nothing()
		require.Equal(t, 4.0, r.errors("malformed"))
	})
}

func TestNodesBehindAForwarderAreBounded(t *testing.T) {
	st := &station{nodes: map[string]*conn{}}
	c := &conn{}
	for i := range maxNodes {
		_, ok := place{station: st, node: string(rune('a' + i))}.put(c)
		require.True(t, ok)
	}
	_, ok := place{station: st, node: "one more"}.put(c)
	require.False(t, ok)
	old, ok := place{station: st, node: "a"}.put(&conn{})
	require.True(t, ok)
	require.Same(t, c, old)
}
