package mqttsn

import (
	"context"
	"strings"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/subject"
	"sluice/pkg/wire/mqttsn"
)

// subscription is one that the door has granted.
type subscription struct {
	filter string
	qos    byte
}

type subscriptions []subscription

func (s subscriptions) find(filter string) *subscription {
	for i := range s {
		if s[i].filter == filter {
			return &s[i]
		}
	}
	return nil
}

func (s *subscriptions) set(filter string, qos byte) {
	if found := s.find(filter); found != nil {
		found.qos = qos
		return
	}
	*s = append(*s, subscription{filter, qos})
}

func (s *subscriptions) remove(filter string) {
	if found := s.find(filter); found != nil {
		last := len(*s) - 1
		*found = (*s)[last]
		*s = (*s)[:last]
	}
}

// granted is the quality of service of a delivery: what its subscription has;
// of a session's main queue the most of those that it may be for.
func (s subscriptions) granted(d gateway.Delivery) byte {
	if d.Sub != api.MainQueue {
		if found := s.find(d.Sub); found != nil {
			return found.qos
		}
		return 2
	}
	most, found := byte(0), false
	for i := range s {
		if matches(s[i].filter, d.Topic) {
			most, found = max(most, s[i].qos), true
		}
	}
	if !found { // queued before the device unsubscribed
		return 2
	}
	return most
}

// matches tells whether a topic is below a filter, wildcards as those of
// pkg/subject.
func matches(filter, topic string) bool {
	for {
		level, rest, more := strings.Cut(filter, "/")
		if level == "#" || level == ">" {
			return true
		}
		have, after, deeper := strings.Cut(topic, "/")
		if level != have && level != "+" && level != "*" {
			return false
		}
		if !more || !deeper {
			return more == deeper || more && !deeper && (rest == "#" || rest == ">")
		}
		filter, topic = rest, after
	}
}

// request is a SUBSCRIBE or UNSUBSCRIBE.
type request struct {
	kind    mqttsn.TopicIDType
	msgID   uint16
	topicID uint16 // pre-defined
	filter  string
	qos     byte
	dup     bool
}

func (c *conn) request(p *mqttsn.Packet) (request, mqttsn.ReturnCode) {
	r := request{kind: p.Flags.TopicIDType, msgID: p.MsgID, qos: byte(max(p.Flags.QoS, 0)), dup: p.Flags.DUP}
	if r.kind == mqttsn.Normal {
		r.filter = string(p.Name)
		if len(p.Name) > maxTopicName {
			return r, mqttsn.NotSupported
		}
		return r, mqttsn.Accepted
	}
	var rc mqttsn.ReturnCode
	r.filter, rc = c.srv.edge.static(p)
	if r.kind == mqttsn.Predefined {
		r.topicID = p.TopicID
	}
	return r, rc
}

// onSubscribe subscribes (MQTT-SN 1.2 §6.9).
func (c *conn) onSubscribe(p *mqttsn.Packet) {
	r, rc := c.request(p)
	if rc == mqttsn.Accepted && !c.await(func() { c.subscribe(r) }) {
		rc = mqttsn.Congestion
	}
	if rc != mqttsn.Accepted {
		c.suback(r, rc)
	}
}

// subscribe asks the door. A session's subscription that is there already is not
// touched if nothing would change: no message is lost in between.
func (c *conn) subscribe(r request) {
	if r.kind == mqttsn.Normal && !subject.IsFilter(r.filter) {
		if _, _, ok := c.register(r.filter); !ok {
			c.suback(r, mqttsn.NotSupported)
			return
		}
	}
	before := c.subs.find(r.filter)
	if before != nil && before.qos == r.qos && (c.durable || r.dup) {
		c.suback(r, mqttsn.Accepted)
		return
	}
	client, again := c.client, before != nil
	ask := gateway.Subscription{ID: r.filter, Filter: r.filter, QoS: r.qos, Durable: c.durable, Main: c.durable, Retained: true}
	c.call(callTimeout, func(ctx context.Context) (gateway.Client, error) {
		if again {
			if err := client.Unsubscribe(ctx, ask.ID, false); err != nil && api.KindOf(err) != api.NotFound {
				return nil, err
			}
		}
		return nil, client.Subscribe(ctx, ask)
	}, func(_ gateway.Client, err error) {
		if err == nil {
			c.subs.set(r.filter, r.qos)
		} else if again {
			c.subs.remove(r.filter)
		}
		c.suback(r, codeFor(err))
	})
}

// suback answers SUBSCRIBE. With it the device knows the topic's id.
func (c *conn) suback(r request, rc mqttsn.ReturnCode) {
	answer := mqttsn.Packet{Type: mqttsn.Suback, MsgID: r.msgID, ReturnCode: rc}
	if rc == mqttsn.Accepted {
		answer.Flags.QoS = int8(r.qos)
		answer.TopicID = r.topicID
		if r.kind == mqttsn.Normal && !subject.IsFilter(r.filter) {
			if id, e := c.topics.find(r.filter); e != nil {
				e.known, e.own, e.refused = true, false, false
				answer.TopicID = id
			}
		}
	}
	c.send(answer)
}

// onUnsubscribe ends a subscription, and is always answered.
func (c *conn) onUnsubscribe(p *mqttsn.Packet) {
	r, rc := c.request(p)
	switch {
	case rc != mqttsn.Accepted:
		c.ack(mqttsn.Unsuback, r.msgID)
	case !c.await(func() { c.unsubscribe(r.filter, func() { c.ack(mqttsn.Unsuback, r.msgID) }) }):
		c.unexpected() // too many at once: the device asks again
	}
}

// unsubscribe tells the door, and then does what is to follow.
func (c *conn) unsubscribe(filter string, then func()) {
	if c.subs.find(filter) == nil {
		then()
		return
	}
	client, forget := c.client, c.durable
	c.call(callTimeout, func(ctx context.Context) (gateway.Client, error) {
		return nil, client.Unsubscribe(ctx, filter, forget)
	}, func(_ gateway.Client, err error) {
		if err != nil && api.KindOf(err) != api.NotFound {
			c.srv.env.Log.Info("unsubscribing failed", "client", c.id, "filter", filter, "error", err)
		}
		c.subs.remove(filter)
		if c.out != nil {
			c.out.drop(filter)
		}
		then()
	})
}
