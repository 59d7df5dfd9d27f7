package mqttsn

import (
	"slices"
	"time"

	"sluice/pkg/gateway"
	"sluice/pkg/subject"
	"sluice/pkg/wire/mqttsn"
)

// step is how far the exchange about one message has come.
type step uint8

const (
	registering step = iota // REGISTER is out
	publishing              // PUBLISH is out
	releasing               // PUBREL is out
)

// flight is a message that the device has not answered for. One of a session is
// sent again when the session service says so; others have a time.
type flight struct {
	d      gateway.Delivery // without Msg: only its topic is to be registered
	step   step
	kind   mqttsn.TopicIDType
	byName bool // the device does not know the short way
	dup    bool // it may have it already
	qos    int8
	tries  int // of this step
	fresh  int // registrations anew
	id     uint16
	msgID  uint16
	due    time.Duration // of a plain one
}

// number is the message id: that of a session's message is the same with every
// connection, so that a device can tell that it has it.
func (o *outbound) number(d gateway.Delivery) uint16 {
	if d.Seq != 0 {
		if id := uint16(d.Seq%0xFFFF) + 1; o.find(id) < 0 {
			return id
		}
	}
	for {
		o.msgID++
		if o.msgID != 0 && o.find(o.msgID) < 0 {
			return o.msgID
		}
	}
}

// find is the place of a flight by its message id.
func (o *outbound) find(msgID uint16) int {
	if o == nil {
		return -1
	}
	return slices.IndexFunc(o.flights, func(f flight) bool { return f.msgID == msgID })
}

// uses tells whether a topic id is on its way.
func (o *outbound) uses(id uint16) bool {
	return slices.ContainsFunc(o.flights, func(f flight) bool { return f.kind == mqttsn.Normal && f.id == id })
}

// step sends what the exchange is at.
func (c *conn) step(i int) {
	f := &c.out.flights[i]
	if f.d.Seq == 0 {
		f.due = c.srv.now() + c.srv.edge.conf.RetxInterval
	}
	switch f.step {
	case registering:
		c.send(mqttsn.Packet{Type: mqttsn.Register, TopicID: f.id, MsgID: f.msgID, Name: []byte(f.d.Topic)})
	case publishing:
		p := mqttsn.Packet{Type: mqttsn.Publish, TopicID: f.id, Data: f.d.Msg.Payload}
		p.Flags = mqttsn.Flags{QoS: f.qos, Retain: f.d.Msg.Retain, TopicIDType: f.kind}
		if f.kind == mqttsn.Short {
			p.Name = []byte(f.d.Topic)
		}
		if f.qos > 0 {
			p.MsgID, p.Flags.DUP = f.msgID, f.dup
		}
		c.send(p)
		if f.dup = true; f.qos == 0 {
			c.finish(i, nil)
		}
	case releasing:
		c.ack(mqttsn.Pubrel, f.msgID)
	}
}

// finish ends an exchange.
func (c *conn) finish(i int, err error) {
	o := c.out
	d := o.flights[i].d
	last := len(o.flights) - 1
	copy(o.flights[i:], o.flights[i+1:])
	o.flights[last] = flight{}
	o.flights = o.flights[:last]
	d.Done(err)
}

// onRegack takes the answer to REGISTER.
func (c *conn) onRegack(p *mqttsn.Packet) {
	i := c.out.find(p.MsgID)
	if i < 0 || c.out.flights[i].step != registering {
		return // an answer to a repeated one
	}
	f := &c.out.flights[i]
	e := c.topics.entry(f.id)
	switch {
	case p.ReturnCode == mqttsn.Congestion:
		f.tries = 0 // it is there, and says: later
	case p.ReturnCode == mqttsn.Accepted && f.d.Msg == nil:
		e.known = true
		c.finish(i, nil)
	case p.ReturnCode == mqttsn.Accepted:
		e.known = true
		f.step, f.tries = publishing, 0
		c.step(i)
	default:
		name := f.d.Topic
		e.refused = true
		c.finish(i, gateway.ErrNack)
		c.unwanted(name)
	}
}

// unwanted ends the subscription to exactly that topic (MQTT-SN 1.2 §6.5).
func (c *conn) unwanted(name string) {
	if !subject.IsFilter(name) && c.subs.find(name) != nil {
		c.await(func() { c.unsubscribe(name, func() {}) })
	}
}

// onPuback takes the end of a QoS 1 exchange, or a refusal.
func (c *conn) onPuback(p *mqttsn.Packet) {
	i := c.out.find(p.MsgID)
	if i < 0 || p.MsgID == 0 || c.out.flights[i].step != publishing {
		c.notKnown(p)
		return
	}
	f := &c.out.flights[i]
	switch p.ReturnCode {
	case mqttsn.Accepted:
		if f.qos == 1 {
			c.finish(i, nil)
		}
	case mqttsn.Congestion:
		f.tries = 0
	case mqttsn.InvalidTopicID:
		c.anew(i)
	default:
		c.finish(i, gateway.ErrNack)
	}
}

// notKnown takes the refusal of a message of QoS 0: its topic is registered
// again when the next one comes.
func (c *conn) notKnown(p *mqttsn.Packet) {
	if e := c.topics.entry(p.TopicID); e != nil && p.ReturnCode == mqttsn.InvalidTopicID {
		e.known = false
	}
}

// anew registers a topic whose id the device does not know, and sends the
// message again.
func (c *conn) anew(i int) {
	f := &c.out.flights[i]
	if e := c.topics.entry(f.id); e != nil && f.kind == mqttsn.Normal {
		e.known = false
	}
	f.byName = true
	if f.fresh++; f.fresh > c.srv.edge.conf.RetxMaxTimes || !c.address(f) {
		c.finish(i, gateway.ErrNack)
		return
	}
	f.tries = 0
	c.step(i)
}

// onPubrec goes on with QoS 2. One that is not known is answered too: the device
// waits for it.
func (c *conn) onPubrec(p *mqttsn.Packet) {
	i := c.out.find(p.MsgID)
	if i < 0 {
		c.ack(mqttsn.Pubrel, p.MsgID)
		return
	}
	f := &c.out.flights[i]
	if f.qos != 2 || f.step == registering {
		c.unexpected()
		return
	}
	f.step, f.tries = releasing, 0
	c.step(i)
}

// onPubcomp takes the end of a QoS 2 exchange.
func (c *conn) onPubcomp(p *mqttsn.Packet) {
	if i := c.out.find(p.MsgID); i >= 0 && c.out.flights[i].step == releasing {
		c.finish(i, nil)
	}
}

// onResend repeats a message of the session.
func (c *conn) onResend(d gateway.Delivery) {
	if c.out == nil {
		return
	}
	i := slices.IndexFunc(c.out.flights, func(f flight) bool { return f.d.Seq == d.Seq && f.d.Sub == d.Sub })
	if i >= 0 {
		c.again(i)
	}
}

// deadline is when the next plain message is to be repeated.
func (o *outbound) deadline() (first time.Duration) {
	for i := range o.flights {
		if due := o.flights[i].due; due > 0 && (first == 0 || due < first) {
			first = due
		}
	}
	return first
}

// repeat sends plain messages again that are due.
func (c *conn) repeat(now time.Duration) {
	for i := 0; c.out != nil && i < len(c.out.flights); i++ {
		if due := c.out.flights[i].due; due > 0 && due <= now {
			c.again(i)
		}
	}
}

// again repeats a step, a few times: then the device is lost (MQTT-SN 1.2 §7.2).
func (c *conn) again(i int) {
	f := &c.out.flights[i]
	if f.tries++; f.tries <= c.srv.edge.conf.RetxMaxTimes {
		c.step(i)
		return
	}
	if c.state == awake { // it has gone back to sleep
		f.due, c.wake.over = 0, true
		return
	}
	c.lose(gateway.ErrNoAck)
}
