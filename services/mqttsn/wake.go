package mqttsn

import (
	"time"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wire/mqttsn"
)

// errandKind is what a sleeping device came for.
type errandKind uint8

const (
	fetch   errandKind = iota // PINGREQ: it wants what waits for it
	resleep                   // DISCONNECT with another duration
	leave                     // DISCONNECT
	speak                     // PUBLISH
)

// errand is what a device that is awake does before it sleeps on.
type errand struct {
	kind    errandKind
	nap     uint16        // resleep
	first   mqttsn.Packet // speak
	drained bool          // nothing waits for it any more
	over    bool          // it has not answered for too long
	failed  bool          // it could not be handed over, and is when it asks again, or at until
	until   time.Duration
}

// onPingreq answers a device that is connected; one that is awake gets its
// answer when all is delivered (MQTT-SN 1.2 §6.14).
func (c *conn) onPingreq() {
	if c.state == active {
		c.send(mqttsn.Packet{Type: mqttsn.Pingresp})
		return
	}
	c.wake.failed = false
	if c.wake.kind == speak {
		c.wake.kind = fetch
	}
}

// rouse wakes a session that sleeps, wherever it fell asleep. The one that is at
// this place stays until it is certain that the other is there.
func (s *server) rouse(from place, id string, e *errand) {
	c := newConn(s, from, id)
	c.state, c.wake = joining, e
	if !s.add(c) {
		return
	}
	if from.conn() == nil {
		if _, ok := from.put(c); !ok {
			s.remove(c)
			return
		}
	}
	c.guard(func() {
		h := c.hello()
		h.Wake = true
		if !c.connect(h, c.woken) {
			c.end(gateway.ErrClosed) // it asks again
		}
	})
}

// woken goes on with the errand of a device whose session was asleep.
func (c *conn) woken(client gateway.Client, err error) {
	if err != nil {
		c.notAsleep(err)
		return
	}
	if old, ok := c.at.put(c); !ok {
		client.Close(gateway.ErrClosed)
		c.end(gateway.ErrClosed)
		return
	} else if old != nil && old != c {
		old.displaced.Store(true)
		c.srv.ready.put(old)
	}
	c.client, c.state = client, awake
	m := recall(client.Session().State)
	c.clean, c.lifetime, c.nap, c.will, c.in = m.Clean, m.Lifetime, m.Nap, m.Will, m.inbound()
	c.adopt()
	c.topics = m.topics(c.srv.edge.conf.MaxTopics)
	c.at.link.Prove()
	c.heard = c.srv.now()
	c.wake.until = c.heard + c.srv.patience()
	c.goOn()
}

func (c *conn) goOn() {
	switch {
	case c.login != nil: // a CONNECT has come meanwhile
		c.handOver(noAnswer)
	case c.wake.kind == leave:
		c.send(mqttsn.Packet{Type: mqttsn.Disconnect})
		c.end(nil)
	case c.wake.kind == resleep:
		c.nap = c.wake.nap
	case c.wake.kind == speak:
		p := c.wake.first
		c.wake.first = mqttsn.Packet{}
		c.onPublish(&p)
	case c.wake.kind == fetch:
		c.take()
	}
}

// notAsleep ends an errand that cannot be: the device is told to connect, unless
// somebody else is in its place, or asking again may help.
func (c *conn) notAsleep(err error) {
	if l := c.login; l != nil {
		c.begin(l)
		return
	}
	c.srv.asleep.forget(c.at.key())
	mine := c.at.conn() == c
	c.end(err)
	if k := api.KindOf(err); mine && (k == api.NotFound || k == api.Denied || k == api.Invalid) {
		c.srv.sendAway(c.at)
	}
}
