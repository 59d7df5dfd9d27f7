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
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/wire/mqttsn"
)

func published(kind mqttsn.TopicIDType, qos int8, topicID uint16, data string) mqttsn.Packet {
	return mqttsn.Packet{Type: mqttsn.Publish, TopicID: topicID, Flags: mqttsn.Flags{QoS: qos, TopicIDType: kind}, Data: []byte(data)}
}

func regack(p mqttsn.Packet, rc mqttsn.ReturnCode) mqttsn.Packet {
	return mqttsn.Packet{Type: mqttsn.Regack, TopicID: p.TopicID, MsgID: p.MsgID, ReturnCode: rc}
}

// subscribed is a device with one subscription.
func (r *rig) subscribed(filter string, qos int8) (*device, *gatewaytest.Client, uint16) {
	d := r.device("192.0.2.1:4000")
	d.say(connectPacket("dev", true, 0))
	d.only(mqttsn.Connack)
	return d, r.client(), d.subscribe(filter, qos)
}

func TestDeliverTopicIDTypes(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, id := r.subscribed("a/b", 0)
		d.subscribe("#", 0)
		c.Deliver("a/b", "a/b", message("its SUBACK has the id", 0))
		d.expect(published(mqttsn.Normal, 0, id, "its SUBACK has the id"))
		c.Deliver("#", "pre/defined", message("p", 0))
		d.expect(published(mqttsn.Predefined, 0, 9, "p"))
		c.Deliver("#", "xy", message("s", 0))
		require.Equal(t, "xy", string(d.expect(published(mqttsn.Short, 0, 0, "s")).Name))
		own := d.register("zz")
		c.Deliver("#", "zz", message("by the id that it knows", 0))
		d.expect(published(mqttsn.Normal, 0, own, ""))
		in := message("r", 0)
		in.Retain = true
		c.Deliver("a/b", "a/b", in)
		want := published(mqttsn.Normal, 0, id, "r")
		want.Flags.Retain = true
		require.Zero(t, d.expect(want).MsgID)
	}, func(r *rig) { r.conf.Predefined = []PredefinedTopic{{9, "pre/defined"}} })
}

func TestDeliverRegistersFirst(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, _ := r.subscribed("#", 1)
		o := c.Deliver("#", "a/b", message("1", 1))
		second := c.Deliver("#", "a/b", message("2", 0))
		p := d.expect(mqttsn.Packet{Type: mqttsn.Register, Name: []byte("a/b")})
		d.nothing()
		d.say(regack(p, 0))
		got := d.expect(published(mqttsn.Normal, 1, p.TopicID, "1"))
		d.say(regack(p, 0)) // a second answer
		d.nothing()
		r.outcome(o, 0, nil)
		d.say(puback(p.TopicID, got.MsgID, 0))
		r.outcome(o, 1, nil)
		d.expect(published(mqttsn.Normal, 0, p.TopicID, "2"))
		r.outcome(second, 1, nil)
		d.say(publishPacket(p.TopicID, 4, 1, "and the other way"))
		d.expect(puback(p.TopicID, 4, 0))
	})
}

func TestDeliverQoSIsTheLesser(t *testing.T) {
	for granted := int8(0); granted <= 2; granted++ {
		for of := range byte(3) {
			dialogue(t, func(r *rig) {
				d, c, id := r.subscribed("t", granted)
				c.Deliver("t", "t", message("x", of))
				d.expect(published(mqttsn.Normal, min(granted, int8(of)), id, "x"))
			})
		}
	}
}

func TestDeliverQoSOfTheSession(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", false)
		d.subscribe("tt", 0)
		d.subscribe("+", 1)
		id := d.register("uu")
		c.Deliver(api.MainQueue, "tt", message("most of all that match", 2), numbered(1))
		p := d.expect(published(mqttsn.Normal, 1, 0, ""))
		d.say(puback(0, p.MsgID, 0))
		c.Deliver(api.MainQueue, "uu", message("x", 2), numbered(2))
		p = d.expect(published(mqttsn.Normal, 1, id, ""))
		d.say(puback(0, p.MsgID, 0))
		c.Deliver(api.MainQueue, "a/b", message("queued before it unsubscribed", 2), numbered(3))
		d.say(regack(d.expect(mqttsn.Packet{Type: mqttsn.Register}), 0))
		d.expect(published(mqttsn.Normal, 2, 0, ""))
	})
}

func TestDeliverQoS2(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, id := r.subscribed("t", 2)
		o := c.Deliver("t", "t", message("x", 2))
		p := d.expect(published(mqttsn.Normal, 2, id, "x"))
		for range 2 { // PUBREL was lost
			d.say(ackPacket(mqttsn.Pubrec, p.MsgID))
			d.expect(ackPacket(mqttsn.Pubrel, p.MsgID))
		}
		r.outcome(o, 0, nil)
		for range 2 {
			d.say(ackPacket(mqttsn.Pubcomp, p.MsgID))
		}
		r.outcome(o, 1, nil)
		d.say(ackPacket(mqttsn.Pubrec, p.MsgID)) // of an exchange that is over
		d.expect(ackPacket(mqttsn.Pubrel, p.MsgID))
		d.nothing()
	})
}

func TestDeliverOneAtATime(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, id := r.subscribed("t", 1)
		for i, qos := range []byte{1, 0, 0, 1, 1} {
			c.Deliver("t", "t", message(fmt.Sprint(i), qos))
		}
		p := d.expect(published(mqttsn.Normal, 1, id, "0"))
		d.nothing()
		d.say(puback(id, p.MsgID, 0))
		d.expect(published(mqttsn.Normal, 0, id, "1"))
		d.expect(published(mqttsn.Normal, 0, id, "2"))
		p = d.expect(published(mqttsn.Normal, 1, id, "3"))
		d.nothing()
		d.say(puback(id, p.MsgID+1, 0)) // of nobody
		d.nothing()
		d.say(puback(id, p.MsgID, 0))
		d.expect(published(mqttsn.Normal, 1, id, "4"))
	})
}

func TestDeliverWithAWindow(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, id := r.subscribed("#", 1)
		_ = id
		for i := range 4 {
			c.Deliver("#", "tt", message(fmt.Sprint(i), 1))
		}
		var got []mqttsn.Packet
		for range 3 {
			got = append(got, d.expect(published(mqttsn.Short, 1, 0, "")))
		}
		d.nothing()
		d.say(puback(0, got[1].MsgID, 0)) // in any order
		last := d.expect(published(mqttsn.Short, 1, 0, "3"))
		require.NotContains(t, []uint16{got[0].MsgID, got[2].MsgID}, last.MsgID)
	}, func(r *rig) { r.conf.QueueWindow = 3 })
}

func TestDeliverWaitsForSuback(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		release := c.Hold()
		d.say(subscribePacket("t", 1))
		c.Deliver("t", "t", message("retained", 1))
		d.nothing()
		release()
		d.expect(suback(firstTopicID, 1, 0))
		d.expect(published(mqttsn.Normal, 1, firstTopicID, "retained"))
	})
}

func TestDeliverRepeats(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, id := r.subscribed("t", 2)
		o := c.Deliver("t", "t", message("x", 2))
		first := d.expect(published(mqttsn.Normal, 2, id, "x"))
		start := time.Now()
		again := d.expect(dup(published(mqttsn.Normal, 2, id, "x")))
		require.InDelta(t, r.conf.RetxInterval.Seconds(), time.Since(start).Seconds(), 0.2)
		require.Equal(t, first.MsgID, again.MsgID)
		d.say(ackPacket(mqttsn.Pubrec, first.MsgID))
		for range 1 + r.conf.RetxMaxTimes {
			d.expect(ackPacket(mqttsn.Pubrel, first.MsgID))
		}
		d.only(mqttsn.Disconnect)
		r.closed(c, gateway.ErrNoAck)
		r.outcome(o, 1, gateway.ErrClosed)
	})
}

func TestRegisterRepeats(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, _ := r.subscribed("#", 0)
		c.Deliver("#", "a/b", message("x", 0))
		for range 1 + r.conf.RetxMaxTimes {
			d.only(mqttsn.Register)
		}
		d.only(mqttsn.Disconnect)
		r.closed(c, gateway.ErrNoAck)
	})
}

func TestDeliverOfASession(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.say(connectPacket("dev", false, 0))
		d.only(mqttsn.Connack)
		c := r.client()
		o := c.Deliver(api.MainQueue, "a/b", message("x", 1), gatewaytest.Numbered(0xFFFF+4, false, 2))
		for range 2 {
			d.expect(mqttsn.Packet{Type: mqttsn.Register, MsgID: 5})
			time.Sleep(time.Hour)
			d.nothing() // the session service is the clock
			c.Resend(api.MainQueue, 0xFFFF+4, 3)
		}
		p := d.expect(mqttsn.Packet{Type: mqttsn.Register, MsgID: 5})
		d.say(regack(p, 0))
		d.expect(dup(published(mqttsn.Normal, 1, p.TopicID, "x"))) // it was delivered before
		for i := range r.conf.RetxMaxTimes {
			c.Resend(api.MainQueue, 0xFFFF+4, 4+i)
			d.expect(dup(published(mqttsn.Normal, 1, p.TopicID, "x")))
		}
		c.Resend(api.MainQueue, 1, 1) // of nobody
		c.Resend("other", 0xFFFF+4, 1)
		d.nothing()
		c.Resend(api.MainQueue, 0xFFFF+4, 9)
		d.only(mqttsn.Disconnect)
		r.closed(c, gateway.ErrNoAck)
		r.outcome(o, 1, gateway.ErrClosed)
	})
}

func TestResendWithoutMessages(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", false)
		c.Resend(api.MainQueue, 1, 1)
		d.nothing()
		r.open(c)
	})
}

func TestPubackInvalidTopicID(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, id := r.subscribed("t", 1)
		d.subscribe("#", 1)
		o := c.Deliver("t", "t", message("x", 1))
		p := d.expect(published(mqttsn.Normal, 1, id, "x"))
		d.say(puback(id, p.MsgID, mqttsn.InvalidTopicID))
		reg := d.expect(mqttsn.Packet{Type: mqttsn.Register, TopicID: id, MsgID: p.MsgID, Name: []byte("t")})
		d.say(regack(reg, 0))
		d.expect(dup(published(mqttsn.Normal, 1, id, "x")))
		d.say(puback(id, p.MsgID, 0))
		r.outcome(o, 1, nil)

		for _, topic := range []string{"pre/defined", "ab"} { // the device does not know the short way
			o = c.Deliver("#", topic, message("y", 1))
			p = d.next()
			d.say(puback(p.TopicID, p.MsgID, mqttsn.InvalidTopicID))
			reg = d.expect(mqttsn.Packet{Type: mqttsn.Register, Name: []byte(topic), MsgID: p.MsgID})
			d.say(regack(reg, 0))
			d.expect(dup(published(mqttsn.Normal, 1, reg.TopicID, "y")))
			d.say(puback(reg.TopicID, p.MsgID, 0))
			r.outcome(o, 1, nil)
		}
		c.Deliver("t", "t", message("z", 0)) // of QoS 0
		d.expect(published(mqttsn.Normal, 0, id, "z"))
		d.say(puback(id, 0, mqttsn.InvalidTopicID))
		c.Deliver("t", "t", message("z", 0))
		d.expect(mqttsn.Packet{Type: mqttsn.Register, TopicID: id})
	}, func(r *rig) { r.conf.Predefined = []PredefinedTopic{{9, "pre/defined"}} })
}

func TestPubackInvalidTopicIDForEver(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, id := r.subscribed("t", 1)
		o := c.Deliver("t", "t", message("x", 1))
		for range r.conf.RetxMaxTimes {
			p := d.next()
			d.say(puback(id, p.MsgID, mqttsn.InvalidTopicID))
			d.say(regack(d.expect(mqttsn.Packet{Type: mqttsn.Register}), 0))
		}
		d.say(puback(id, d.next().MsgID, mqttsn.InvalidTopicID))
		r.outcome(o, 1, gateway.ErrNack)
		d.nothing()
	})
}

func TestPubackRefuses(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		dialogue(t, func(r *rig) {
			d, c, id := r.subscribed("t", 2)
			o := c.Deliver("t", "t", message("x", qos))
			p := d.next()
			d.say(puback(id, p.MsgID, mqttsn.NotSupported))
			r.outcome(o, 1, gateway.ErrNack)
			d.nothing()
			r.open(c)
		})
	}
}

func TestPubackCongestion(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, id := r.subscribed("t", 1)
		o := c.Deliver("t", "t", message("x", 1))
		p := d.next()
		for range 3 * r.conf.RetxMaxTimes { // it is there, and says: later
			d.say(puback(id, p.MsgID, mqttsn.Congestion))
			start := time.Now()
			p = d.expect(dup(published(mqttsn.Normal, 1, id, "x")))
			require.InDelta(t, r.conf.RetxInterval.Seconds(), time.Since(start).Seconds(), 0.2)
		}
		d.say(puback(id, p.MsgID, 0))
		r.outcome(o, 1, nil)
	})
}

func TestRegackRefuses(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, _ := r.subscribed("+", 1)
		id := d.subscribe("t", 1)
		d.say(puback(id, 0, mqttsn.InvalidTopicID)) // it has forgotten the id
		o := c.Deliver("t", "t", message("x", 1))
		second := c.Deliver("+", "t", message("x", 1))
		d.say(regack(d.expect(mqttsn.Packet{Type: mqttsn.Register}), mqttsn.NotSupported))
		r.outcome(o, 1, gateway.ErrNack)
		require.Equal(t, []gatewaytest.Unsubscription{{ID: "t"}}, c.Unsubscriptions())
		r.outcome(second, 1, gateway.ErrNack)
		d.nothing()
		d.subscribe("t", 1) // it wants it after all
		c.Deliver("t", "t", message("x", 0))
		d.expect(published(mqttsn.Normal, 0, id, "x"))
	})
}

func TestRegackCongestion(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, _ := r.subscribed("#", 1)
		c.Deliver("#", "a/b", message("x", 1))
		for range 3 * r.conf.RetxMaxTimes {
			d.say(regack(d.expect(mqttsn.Packet{Type: mqttsn.Register}), mqttsn.Congestion))
		}
		r.open(c)
	})
}

func TestDeliverWhatCannotBeSent(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, id := r.subscribed("#", 1)
		_ = id
		for _, o := range []*gatewaytest.Outcome{
			c.Deliver("#", "tt", message(strings.Repeat("x", maxSend), 1)),
			c.Deliver("#", strings.Repeat("t", maxSend), message("x", 1)),
			c.Deliver("#", "", message("x", 1)),
		} {
			r.outcome(o, 1, gateway.ErrNack)
		}
		require.Equal(t, 3.0, r.errors("unsendable"))
		c.Deliver("#", "tt", message(strings.Repeat("x", 60000), 0))
		require.Len(t, d.expect(published(mqttsn.Short, 0, 0, "")).Data, 60000) // in the long form
		d.link.listener = "dtls:default"
		r.outcome(c.Deliver("#", "tt", message(strings.Repeat("x", maxSecure), 1)), 1, gateway.ErrNack)
	})
}

func TestTopicIDsAreReusedForDeliveries(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, _ := r.subscribed("#", 0)
		d.register("mine")
		for _, topic := range []string{"a/1", "a/2", "a/3", "a/1"} {
			c.Deliver("#", topic, message("x", 0))
			p := d.expect(mqttsn.Packet{Type: mqttsn.Register, Name: []byte(topic)})
			d.say(regack(p, 0))
			d.expect(published(mqttsn.Normal, 0, p.TopicID, "x"))
		}
		d.say(publishPacket(firstTopicID, 1, 1, "x"))
		d.expect(puback(firstTopicID, 1, 0))
		require.Equal(t, "mine", c.Published()[0].Topic)
		d.register("mine/too")
		o := c.Deliver("#", "a/1", message("x", 0))
		r.outcome(o, 1, gateway.ErrNack)
		require.Equal(t, 1.0, r.errors("no_topic_id"))
	}, func(r *rig) { r.conf.MaxTopics = 2 })
}

func TestDeliverBounds(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, id := r.subscribed("t", 1)
		var all []*gatewaytest.Outcome
		for range 5 {
			all = append(all, c.Deliver("t", "t", message("x", 1)))
			synctest.Wait()
		}
		r.outcome(all[4], 1, gateway.ErrSlow)
		r.outcome(all[3], 0, nil)
		p := d.next()
		for range 3 {
			d.say(puback(id, p.MsgID, 0))
			p = d.next()
		}
		d.say(puback(id, p.MsgID, 0))
		r.outcome(all[3], 1, nil)
		for cc := range r.srv.conns {
			require.Nil(t, cc.out, "nothing is left")
		}
		big := c.Deliver("t", "t", message("too many bytes", 1))
		r.outcome(big, 1, gateway.ErrSlow)
	}, func(r *rig) { r.conf.MaxPending = 3; r.conf.MaxPendingSize = 10 })
}
