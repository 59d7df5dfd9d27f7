package mqttsn

import (
	"slices"

	"sluice/pkg/gateway"
	"sluice/pkg/subject"
	"sluice/pkg/wire/mqttsn"
)

// outbound is what is on its way to the device.
type outbound struct {
	flights []flight
	waiting []gateway.Delivery
	plain   int    // of waiting, those that have no other copy
	bytes   int    // of plain
	msgID   uint16 // the last one
}

// outgoing is where messages to the device wait; it is gone when none does.
func (c *conn) outgoing() *outbound {
	if c.out == nil {
		c.out = &outbound{msgID: c.msgID}
	}
	return c.out
}

// tidy gives back the memory of what is over.
func (c *conn) tidy() {
	if c.out != nil && !c.out.busy() {
		c.msgID, c.out = c.out.msgID, nil
	}
}

// park lets a message wait for its turn, within the door's bounds for messages
// that wait for one device; the newest is the one that is lost.
func (c *conn) park(d gateway.Delivery) {
	o, conf := c.outgoing(), &c.srv.edge.conf
	n := len(d.Msg.Payload)
	if d.Seq == 0 {
		if o.plain >= conf.MaxPending || o.bytes+n > int(conf.MaxPendingSize) {
			d.Done(gateway.ErrSlow)
			return
		}
		o.plain++
		o.bytes += n
	}
	o.waiting = append(o.waiting, d)
}

// pump sends what may be sent now, in order. While a call is under way nothing
// new is begun: the device waits for its answer, and learns topic ids by it.
func (c *conn) pump() {
	o := c.out
	if o == nil || c.calling {
		return
	}
	for len(o.waiting) > 0 && c.receives() && o.room(c.srv.edge.conf.QueueWindow) {
		d := o.waiting[0]
		o.waiting[0] = gateway.Delivery{}
		if o.waiting = o.waiting[1:]; len(o.waiting) == 0 {
			o.waiting = nil
		}
		o.uncount(d)
		c.deliver(d)
	}
}

// receives tells whether the device wants messages.
func (c *conn) receives() bool {
	return c.state == active || c.state == awake && c.wake.kind == fetch && !c.wake.over
}

// room tells whether one more message may be sent: no more than the window, and
// none behind one whose topic is being registered.
func (o *outbound) room(window int) bool {
	return len(o.flights) < window && !slices.ContainsFunc(o.flights, func(f flight) bool { return f.step == registering })
}

func (o *outbound) uncount(d gateway.Delivery) {
	if d.Seq == 0 && d.Msg != nil {
		o.plain--
		o.bytes -= len(d.Msg.Payload)
	}
}

// deliver begins to send one message (MQTT-SN 1.2 §6.10).
func (c *conn) deliver(d gateway.Delivery) {
	f := flight{d: d, dup: d.Attempt > 1}
	if d.Msg != nil {
		f.qos = int8(min(d.Msg.QoS, c.subs.granted(d)))
	}
	if !c.fits(d) {
		c.srv.env.Metrics.FrameError("unsendable")
		d.Done(gateway.ErrNack)
		return
	}
	if !c.address(&f) {
		d.Done(gateway.ErrNack)
		return
	}
	f.msgID = c.out.number(d)
	c.out.flights = append(c.out.flights, f)
	c.step(len(c.out.flights) - 1)
}

// fits tells whether topic and message go into datagrams.
func (c *conn) fits(d gateway.Delivery) bool {
	room := maxSend
	if c.at.secure() {
		room = maxSecure
	}
	room -= overhead + len(c.at.node)
	return len(d.Topic) > 0 && len(d.Topic) <= room && (d.Msg == nil || len(d.Msg.Payload) <= room)
}

const (
	overhead  = 16      // of a long PUBLISH or REGISTER in its wrapping
	maxSecure = 1 << 14 // one DTLS record
)

// address chooses how the device is told the topic: by an id that it knows, or
// that everybody knows, or by its name if that has two bytes; or else it must be
// registered first. False when that cannot be.
func (c *conn) address(f *flight) bool {
	name := f.d.Topic
	id, e := c.topics.find(name)
	switch {
	case e != nil && e.refused:
		return false
	case e != nil && e.known:
		f.kind, f.id, f.step = mqttsn.Normal, id, publishing
		return true
	}
	if !f.byName && f.d.Msg != nil {
		if id, ok := c.srv.edge.predefined.ids[name]; ok {
			f.kind, f.id, f.step = mqttsn.Predefined, id, publishing
			return true
		}
		if len(name) == 2 {
			f.kind, f.step = mqttsn.Short, publishing
			return true
		}
	}
	id, e, ok := c.register(name)
	if !ok {
		c.srv.env.Metrics.FrameError("no_topic_id")
		return false
	}
	e.own = e.own || !e.known
	f.kind, f.id, f.step = mqttsn.Normal, id, registering
	return true
}

// announce registers what a resumed session has subscribed to, before its first
// message.
func (c *conn) announce() {
	for _, s := range c.subs {
		if subject.IsFilter(s.filter) {
			continue
		}
		o := c.outgoing()
		o.waiting = append(o.waiting, gateway.Delivery{Topic: s.filter})
	}
}

// drop takes the waiting messages of a subscription out that has ended.
func (o *outbound) drop(filter string) {
	o.waiting = slices.DeleteFunc(o.waiting, func(d gateway.Delivery) bool {
		if d.Sub != filter || d.Seq != 0 {
			return false
		}
		o.uncount(d)
		d.Done(gateway.ErrClosed)
		return true
	})
}

// giveUp returns all that the device has not acknowledged.
func (o *outbound) giveUp() {
	for i := range o.flights {
		o.flights[i].d.Done(gateway.ErrClosed)
	}
	for _, d := range o.waiting {
		d.Done(gateway.ErrClosed)
	}
	o.flights, o.waiting = nil, nil
}

// busy tells whether something is on its way, or waits.
func (o *outbound) busy() bool { return o != nil && len(o.flights)+len(o.waiting) > 0 }

// unsaved tells the same of what has no copy at the session service.
func (o *outbound) unsaved() bool {
	return o != nil && (o.plain > 0 || slices.ContainsFunc(o.flights, func(f flight) bool { return f.d.Seq == 0 && f.d.Msg != nil }))
}
