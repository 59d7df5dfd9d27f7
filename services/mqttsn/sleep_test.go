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

func sleepPacket(seconds uint16) mqttsn.Packet {
	return mqttsn.Packet{Type: mqttsn.Disconnect, HasDuration: true, Duration: seconds}
}

func wakePacket(id string) mqttsn.Packet {
	return mqttsn.Packet{Type: mqttsn.Pingreq, Name: []byte(id)}
}

// sleep has a device fall asleep; what it leaves is what the next wake finds.
func (d *device) sleep(c *gatewaytest.Client, seconds uint16) gateway.Sleep {
	d.Helper()
	d.say(sleepPacket(seconds))
	d.only(mqttsn.Disconnect)
	d.closed(c, gateway.ErrAsleep)
	s := c.Sleeps()[len(c.Sleeps())-1]
	var subs []gateway.Subscription
	for _, one := range c.Subscriptions() {
		one.Durable, one.Main = true, true
		subs = append(subs, one)
	}
	d.door.Found = gateway.Session{Present: true, Subs: subs, State: s.State}
	return s
}

// wake is the client of a device that woke up.
func (d *device) wake(id string) *gatewaytest.Client {
	d.Helper()
	before := len(d.door.Hellos())
	d.say(wakePacket(id))
	synctest.Wait()
	require.Len(d, d.door.Hellos(), before+1)
	h := d.door.Hellos()[before]
	require.True(d, h.Wake)
	require.True(d, h.Session)
	require.Equal(d, id, h.ClientID)
	return d.client()
}

func notAsleep(r *rig) { r.door.Deny = api.Errorf(api.NotFound, "connect", "not asleep") }

func TestSleepHandsOver(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.connectWill("dev", true)
		c := r.client()
		d.register("a/b")
		d.subscribe("c", 1)
		release := c.Hold()
		d.say(sleepPacket(300))
		d.say(sleepPacket(300))
		d.nothing() // until the session service has it
		release()
		d.only(mqttsn.Disconnect)
		d.nothing()
		r.closed(c, gateway.ErrAsleep)
		require.Len(t, c.Sleeps(), 1)
		s := c.Sleeps()[0]
		require.Equal(t, 5*time.Minute, s.For)
		require.Equal(t, &gateway.Message{Topic: "w/t", Payload: []byte("bye"), QoS: 1, Retain: true}, s.Will)
		m := recall(s.State)
		require.Equal(t, map[uint16]string{1025: "a/b", 1026: "c"}, m.Topics)
		require.Equal(t, uint16(60), m.Lifetime)
		require.Equal(t, uint16(300), m.Nap)
		require.True(t, m.Clean)
		require.Empty(t, c.Published())
		require.Empty(t, r.srv.conns, "nothing is left of it")
		require.Zero(t, r.srv.wheel.Len())
		require.True(t, d.link.isClosed())
	})
}

func TestSleepFails(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		c.Deny(func(string, string) error { return api.Errorf(api.Unavailable, "sleep", "later") })
		d.say(sleepPacket(300))
		d.nothing()
		d.say(mqttsn.Packet{Type: mqttsn.Pingreq}) // it is still there
		d.only(mqttsn.Pingresp)
		c.Deny(nil)
		d.say(sleepPacket(200))
		d.only(mqttsn.Disconnect)
		require.Equal(t, 200*time.Second, c.Sleeps()[0].For)
	})
}

func TestSleepWaitsForWhatHasNoCopy(t *testing.T) {
	dialogue(t, func(r *rig) {
		d, c, id := r.subscribed("t", 1)
		o := c.Deliver("t", "t", message("x", 1))
		p := d.next()
		d.say(sleepPacket(300))
		d.nothing()
		d.say(puback(id, p.MsgID, 0))
		d.only(mqttsn.Disconnect)
		r.outcome(o, 1, nil)
	})
	dialogue(t, func(r *rig) {
		d, c, _ := r.subscribed("t", 1)
		o := c.Deliver("t", "t", message("x", 1))
		d.next()
		d.say(sleepPacket(300))
		start := time.Now()
		d.only(mqttsn.Disconnect)
		require.InDelta(t, dozeTime.Seconds(), time.Since(start).Seconds(), 0.2)
		r.outcome(o, 1, gateway.ErrClosed)
	})
}

func TestSleepWaitsForPublishes(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		id := d.register("a")
		time.Sleep(time.Second)
		d.say(publishPacket(id, 1, 1, "x"))
		d.say(sleepPacket(300))
		time.Sleep(dozeTime / 2)
		d.nothing()
		c.Ack(c.Tags()[0], nil)
		d.expect(puback(id, 1, 0))
		d.only(mqttsn.Disconnect)
	}, func(r *rig) { r.door.Manual = true })
}

func TestSleepOverDTLSKeepsTheAssociation(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.link.listener = "dtls:default"
		d.sleep(d.connect("dev", true), 60)
		require.False(t, d.link.isClosed())
		c := d.wake("dev")
		c.Drained()
		d.only(mqttsn.Pingresp)
	})
}

func TestWakeFetches(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		first := d.connect("dev", true)
		id := d.subscribe("t", 1)
		d.subscribe("a/#", 2)
		d.sleep(first, 300)
		moved := r.device("198.51.100.7:5555") // behind NAT, or at another node
		c := moved.wake("dev")
		one := c.Deliver(api.MainQueue, "t", message("1", 1), numbered(1))
		two := c.Deliver(api.MainQueue, "a/b", message("2", 2), numbered(2))
		c.Deliver(api.MainQueue, "t", message("3", 0), numbered(3))
		p := moved.expect(published(mqttsn.Normal, 1, id, "1")) // it still knows the id
		moved.say(wakePacket("dev"))                            // it has lost patience
		moved.nothing()
		moved.say(puback(id, p.MsgID, 0))
		r.outcome(one, 1, nil)
		reg := moved.expect(mqttsn.Packet{Type: mqttsn.Register, Name: []byte("a/b")})
		moved.say(regack(reg, 0))
		p = moved.expect(published(mqttsn.Normal, 2, reg.TopicID, "2"))
		c.Drained()
		moved.say(ackPacket(mqttsn.Pubrec, p.MsgID))
		moved.expect(ackPacket(mqttsn.Pubrel, p.MsgID))
		moved.nothing()
		moved.say(ackPacket(mqttsn.Pubcomp, p.MsgID))
		r.outcome(two, 1, nil)
		moved.expect(published(mqttsn.Normal, 0, id, "3"))
		moved.only(mqttsn.Pingresp) // last
		r.closed(c, gateway.ErrAsleep)
		s := c.Sleeps()[0]
		require.Equal(t, 300*time.Second, s.For, "its time begins again")
		require.Equal(t, "a/b", recall(s.State).Topics[reg.TopicID])
		require.Equal(t, uint16(60), recall(s.State).Lifetime)
		require.Empty(t, r.srv.conns)
	})
}

func TestWakeWithNothingWaiting(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.sleep(d.connect("dev", false), 300)
		for range 3 {
			c := d.wake("dev")
			d.nothing()
			c.Drained()
			d.only(mqttsn.Pingresp)
			r.door.Found.State = c.Sleeps()[0].State
		}
	})
}

func TestWakeOfNobody(t *testing.T) {
	for err, told := range map[*api.Error]bool{
		api.Errorf(api.NotFound, "connect", "not asleep"): true, api.Errorf(api.Denied, "connect", "banned"): true,
		api.Errorf(api.Unavailable, "connect", "later"): false,
	} {
		dialogue(t, func(r *rig) {
			d := r.device("192.0.2.1:4000")
			d.say(wakePacket("dev"))
			if told {
				d.only(mqttsn.Disconnect)
			}
			d.nothing()
			require.Empty(t, r.srv.conns)
		}, func(r *rig) { r.door.Deny = err })
	}
}

// A device that is connected is not taken over by a PINGREQ from elsewhere, and
// a PINGREQ for another one from its own address does not end it.
func TestWakeDoesNotHijack(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		d.say(wakePacket("dev")) // of an active device
		d.only(mqttsn.Pingresp)
		notAsleep(r)
		e := r.device("192.0.2.2:4000")
		e.say(wakePacket("dev"))
		e.only(mqttsn.Disconnect)
		d.say(wakePacket("other"))
		d.nothing()
		r.open(c)
		r.door.Deny = nil
		other := d.wake("other") // it is asleep: its address is that of dev now
		r.closed(c, gateway.ErrClosed)
		other.Drained()
		d.only(mqttsn.Pingresp)
	})
}

func TestWakeIsBounded(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		first := d.connect("dev", false)
		d.subscribe("tt", 1)
		d.sleep(first, 300)
		c := d.wake("dev")
		o := c.Deliver(api.MainQueue, "tt", message("x", 1), numbered(1))
		d.oneOf(mqttsn.Publish)
		start := time.Now()
		time.Sleep(r.srv.patience() + time.Second)
		r.closed(c, gateway.ErrAsleep) // without a PINGRESP: it has not all of its messages
		require.Less(t, time.Since(start), 2*r.srv.patience())
		r.outcome(o, 1, gateway.ErrClosed)
		d.nothing()
		require.Empty(t, r.srv.conns)
	})
}

func TestWakeAndNoAck(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		first := d.connect("dev", false)
		d.subscribe("tt", 1)
		d.sleep(first, 300)
		c := d.wake("dev")
		c.Deliver(api.MainQueue, "tt", message("x", 1), numbered(1))
		for range 1 + r.conf.RetxMaxTimes {
			d.oneOf(mqttsn.Publish)
			c.Resend(api.MainQueue, 1, 2)
		}
		r.closed(c, gateway.ErrAsleep)
		d.nothing()
	})
}

// oneOf wants a packet of a type, whatever its flags.
func (d *device) oneOf(want mqttsn.Type) mqttsn.Packet {
	d.Helper()
	p := d.next()
	require.Equal(d, want.String(), p.Type.String())
	return p
}

func TestWakeSleepFails(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.sleep(d.connect("dev", false), 300)
		c := d.wake("dev")
		c.Deny(func(string, string) error { return api.Errorf(api.Unavailable, "sleep", "later") })
		c.Drained()
		d.nothing()
		c.Deny(nil)
		d.say(wakePacket("dev"))
		d.only(mqttsn.Pingresp)
		r.closed(c, gateway.ErrAsleep)
	})
}

func TestWakeThenPublishAndSubscribe(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		first := d.connect("dev", true)
		id := d.register("a")
		d.sleep(first, 300)
		c := d.wake("dev")
		d.say(publishPacket(id, 1, 1, "x"))
		d.expect(puback(id, 1, 0))
		d.subscribe("b", 1)
		require.True(t, c.Subscriptions()[0].Main, "it belongs to the session now")
		c.Drained()
		d.only(mqttsn.Pingresp)
		require.Equal(t, []string{"a x"}, r.topics(c))
	})
}

func TestConnectOfASleeper(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		first := d.connect("dev", true)
		d.subscribe("tt", 1)
		d.sleep(first, 300)
		c := d.connect("dev", false)
		h := r.door.Hellos()[1]
		require.False(t, h.Wake)
		require.False(t, h.Clean)
		c.Deliver(api.MainQueue, "tt", message("x", 1), numbered(1))
		d.oneOf(mqttsn.Publish)
		_, known := r.srv.asleep.get("192.0.2.1:4000", r.srv.now())
		require.False(t, known)
	})
}

func TestConnectWhileAwake(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.sleep(d.connect("dev", true), 300)
		c := d.wake("dev")
		o := c.Deliver(api.MainQueue, "tt", message("x", 1), numbered(1))
		d.oneOf(mqttsn.Publish)
		last := d.connect("dev", false)
		r.closed(c, gateway.ErrAsleep) // what waits is kept
		r.outcome(o, 1, gateway.ErrClosed)
		require.NotSame(t, c, last)
		r.open(last)
	})
}

func TestConnectWhileWakingOrFallingAsleep(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		c := d.connect("dev", true)
		release := c.Hold()
		d.say(sleepPacket(300))
		d.say(connectPacket("dev", false, 60))
		d.nothing()
		release()
		d.only(mqttsn.Connack)
		r.closed(c, gateway.ErrAsleep)
		r.open(r.client())
	})
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.sleep(d.connect("dev", true), 300)
		r.door.Delay = time.Second
		d.say(wakePacket("dev"))
		d.say(connectPacket("dev", false, 60))
		d.only(mqttsn.Connack)
		d.nothing()
		require.Len(t, r.door.Hellos(), 3)
		r.open(r.client())
	})
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		r.door.Delay = time.Second
		notAsleep(r)
		d.say(wakePacket("dev"))
		d.say(connectPacket("dev", false, 60))
		d.expect(mqttsn.Packet{Type: mqttsn.Connack, ReturnCode: mqttsn.InvalidTopicID}) // as the scripted door says
		require.False(t, r.door.Hellos()[1].Wake)
	})
}

func TestSleepOnWithAnotherDuration(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.sleep(d.connect("dev", true), 300)
		d.say(sleepPacket(900))
		d.only(mqttsn.Disconnect)
		c := r.client()
		r.closed(c, gateway.ErrAsleep)
		require.Equal(t, 900*time.Second, c.Sleeps()[0].For)
		r.door.Found.State = c.Sleeps()[0].State
		c = d.wake("dev")
		d.say(sleepPacket(1200)) // while it is awake
		d.only(mqttsn.Disconnect)
		require.Equal(t, 1200*time.Second, c.Sleeps()[0].For)
	})
}

func TestDisconnectOfASleeper(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.connectWill("dev", true)
		d.sleep(r.client(), 300)
		d.say(mqttsn.Packet{Type: mqttsn.Disconnect})
		d.only(mqttsn.Disconnect)
		require.True(t, r.door.Hellos()[1].Wake)
		r.closed(r.client(), nil)
		require.Empty(t, r.client().Published())
		d.sleep(d.connect("dev", true), 300)
		c := d.wake("dev")
		d.say(mqttsn.Packet{Type: mqttsn.Disconnect}) // while it is awake
		d.only(mqttsn.Disconnect)
		r.closed(c, nil)
	})
}

func TestPublishOfASleeper(t *testing.T) {
	for qos := int8(0); qos <= 2; qos++ {
		dialogue(t, func(r *rig) {
			d := r.device("192.0.2.1:4000")
			first := d.connect("dev", true)
			id := d.register("a")
			d.sleep(first, 300)
			d.say(publishPacket(id, 1, qos, "x"))
			synctest.Wait()
			c := r.client()
			o := c.Deliver(api.MainQueue, "tt", message("it did not ask for it", 1), numbered(1))
			for _, want := range [][]mqttsn.Packet{nil, {puback(id, 1, 0)}, {ackPacket(mqttsn.Pubrec, 1)}}[qos] {
				d.expect(want)
			}
			d.nothing()
			r.closed(c, gateway.ErrAsleep)
			r.outcome(o, 1, gateway.ErrClosed)
			require.Equal(t, []string{"a x"}, r.topics(c))
			require.Equal(t, 300*time.Second, c.Sleeps()[0].For)
			if qos == 2 {
				require.Equal(t, []uint16{1}, recall(c.Sleeps()[0].State).Held)
			}
		})
	}
}

func TestSleeperIsForgotten(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.sleep(d.connect("dev", true), 10)
		time.Sleep(16 * time.Second)
		d.say(sleepPacket(900))
		d.only(mqttsn.Disconnect)
		require.Len(t, r.door.Hellos(), 1)
	})
	s := sleepers{of: map[string]sleeper{}}
	for i := range maxSleepers + 10 {
		s.put(string(rune(i)), "x", time.Hour)
	}
	require.LessOrEqual(t, len(s.of), maxSleepers)
}

func TestAwakeIsTakenOver(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.sleep(d.connect("dev", true), 300)
		c := d.wake("dev")
		c.Kick(gateway.ErrTakenOver)
		d.only(mqttsn.Disconnect)
		r.closed(c, gateway.ErrTakenOver)
	})
}

func TestWakeBehindAForwarder(t *testing.T) {
	dialogue(t, func(r *rig) {
		d := r.device("192.0.2.1:4000")
		d.link.node = []byte("n1")
		d.sleep(d.connect("dev", true), 300)
		e := r.device("192.0.2.9:4000") // it has moved to another forwarder
		e.link.node = []byte("n7")
		e.wake("dev").Drained()
		e.only(mqttsn.Pingresp)
		e.say(sleepPacket(50))
		e.only(mqttsn.Disconnect)
		require.Equal(t, "dev", r.door.Hellos()[2].ClientID)
	})
}
