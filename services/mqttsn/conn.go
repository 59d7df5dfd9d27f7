package mqttsn

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"sluice/pkg/gateway"
	"sluice/pkg/listen"
	"sluice/pkg/wheel"
	"sluice/pkg/wire/mqttsn"
)

// state is how far a device has come (MQTT-SN 1.2 §6.14). One that is asleep has
// no conn.
type state uint8

const (
	asking  state = iota // the will is asked for
	joining              // the door decides
	active
	awake   // a sleeping device that fetches, or does an errand
	napping // the session service takes over
	gone
)

// conn is one device. Fields below mu are used with it locked. Most devices are
// idle: what only busy ones need is behind pointers, nil until then.
type conn struct {
	srv *server
	at  place
	id  string // client id as the device says it

	// of the ready queue, under its lock
	next   *conn
	queued bool

	mu        sync.Mutex
	state     state
	clean     bool           // CleanSession of CONNECT
	durable   bool           // subscriptions go to the session
	calling   bool           // a call of the door is under way
	untouched bool           // nothing has come since CONNACK
	lifetime  uint16         // keep-alive, s
	nap       uint16         // duration of its sleep, s
	msgID     uint16         // the last one of ours
	gen       uint32         // of the client: what became of a call for an earlier one is of no interest
	client    gateway.Client // nil until the door let it in
	heard     time.Duration  // the last datagram
	dozing    time.Duration  // it wants to sleep, and what is on its way to it may arrive until then; 0 = not
	timer     wheel.Timer[*conn]
	due       time.Duration // what timer is set to; 0 = not

	login  *login // while asking and joining
	wake   *errand
	will   *will
	topics *topics
	subs   subscriptions
	in     *inbound
	out    *outbound
	ops    []op // wait for the call that is under way

	displaced atomic.Bool // another device is in its place
}

func newConn(s *server, where place, id string) *conn {
	return &conn{srv: s, at: where, id: id, heard: s.now()}
}

// packet takes a datagram. It reports false when the conn is not the one for it.
func (c *conn) packet(p *mqttsn.Packet, bad bool) (mine bool) {
	c.guard(func() { mine = c.receive(p, bad) })
	return mine
}

func (c *conn) receive(p *mqttsn.Packet, bad bool) bool {
	if c.state == gone {
		return false
	}
	if p.Type == mqttsn.Connect && !bad && string(p.Name) != c.id {
		c.displace() // another device has its address now
		return false
	}
	if p.Type == mqttsn.Pingreq && len(p.Name) > 0 && string(p.Name) != c.id {
		return false // the same, perhaps
	}
	c.heard = c.srv.now()
	if p.Type == mqttsn.SearchGw {
		c.srv.gwinfo(c.at)
		return true
	}
	if bad && !(p.Type == mqttsn.WillTopic && c.state == asking) {
		c.srv.env.Metrics.FrameError("content")
		c.srv.refuse(c.at, p)
	} else {
		c.verb(p)
	}
	c.untouched = c.untouched && p.Type == mqttsn.Connect
	c.settle()
	return true
}

// verb is the table of what may come when.
func (c *conn) verb(p *mqttsn.Packet) {
	switch p.Type {
	case mqttsn.Connect:
		c.onConnect(p)
		return
	case mqttsn.Disconnect:
		c.onDisconnect(p)
		return
	case mqttsn.Advertise, mqttsn.GwInfo:
		return // of other gateways
	default: // it depends on how far the device has come
	}
	switch c.state {
	case asking:
		c.onWill(p)
	case active, awake:
		c.exchange(p)
	case joining:
		c.early(p)
	case napping:
		if !c.answers(p) {
			c.unexpected()
		}
	case gone:
	}
}

// exchange is what a connected device may say.
func (c *conn) exchange(p *mqttsn.Packet) {
	switch p.Type {
	case mqttsn.Publish:
		c.onPublish(p)
	case mqttsn.Pubrel:
		c.onPubrel(p)
	case mqttsn.Register:
		c.onRegister(p)
	case mqttsn.Subscribe:
		c.onSubscribe(p)
	case mqttsn.Unsubscribe:
		c.onUnsubscribe(p)
	case mqttsn.Pingreq:
		c.onPingreq()
	case mqttsn.WillTopicUpd:
		c.onWillTopicUpd(p)
	case mqttsn.WillMsgUpd:
		c.onWillMsgUpd(p)
	case mqttsn.WillTopic, mqttsn.WillMsg:
		// the answer to a WILLTOPICREQ or WILLMSGREQ, for the second time
	case mqttsn.Pingresp:
	default:
		if !c.answers(p) {
			c.unexpected()
		}
	}
}

// answers takes what answers a message of ours; false for anything else.
func (c *conn) answers(p *mqttsn.Packet) bool {
	switch p.Type {
	case mqttsn.Regack:
		c.onRegack(p)
	case mqttsn.Puback:
		c.onPuback(p)
	case mqttsn.Pubrec:
		c.onPubrec(p)
	case mqttsn.Pubcomp:
		c.onPubcomp(p)
	default:
		return false
	}
	return true
}

// unexpected counts what is not for a device to send, or not now.
func (c *conn) unexpected() { c.srv.env.Metrics.FrameError("unexpected") }

// onReady looks for what has come from the door or the clock.
func (c *conn) onReady() {
	if c.state == gone {
		return
	}
	if c.displaced.Load() {
		c.displace()
		return
	}
	if c.client != nil {
		select {
		case why := <-c.client.Kicked():
			c.lose(why)
			return
		default:
		}
		c.take()
	}
	c.onClock(c.srv.now())
	c.settle()
}

// take is one batch of the door's events.
func (c *conn) take() {
	w := c.srv.scratch.Get().(*scratch)
	defer c.srv.scratch.Put(w)
	w.events = c.client.Take(w.events[:0])
	for i := range w.events {
		e := &w.events[i]
		switch {
		case e.Kind == gateway.Delivered && c.state == gone:
			e.Delivery.Done(gateway.ErrClosed)
		case e.Kind == gateway.Delivered:
			c.park(e.Delivery)
		case c.state == gone:
		case e.Kind == gateway.Acked:
			c.onAcked(e.Tag, e.Err)
		case e.Kind == gateway.Resend:
			c.onResend(e.Delivery)
		case e.Kind == gateway.Drained && c.wake != nil:
			c.wake.drained = true
		}
	}
	clear(w.events)
	w.events = w.events[:0]
}

// settle ends every step: what has become possible is done.
func (c *conn) settle() {
	c.pump()
	c.rest()
	c.tidy()
	c.arm()
}

// send is a packet to the device. A link can go between the datagram that it
// brought and the answer: who is on it then is lost.
func (c *conn) send(p mqttsn.Packet) {
	if err := c.srv.send(c.at, &p); errors.Is(err, listen.ErrGone) && c.state != gone {
		c.displaced.Store(true)
		c.srv.ready.put(c)
	}
}

func (c *conn) code(t mqttsn.Type, rc mqttsn.ReturnCode) {
	c.send(mqttsn.Packet{Type: t, ReturnCode: rc})
}

func (c *conn) ack(t mqttsn.Type, msgID uint16) { c.send(mqttsn.Packet{Type: t, MsgID: msgID}) }
