package mqttsn

import (
	"bytes"
	"hash/maphash"
	"strconv"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/mqttsn"
)

// onPublish takes a message of the device (MQTT-SN 1.2 §6.6). It is answered
// when it is stored; one of QoS 0 only when it is refused, one of QoS -1 never.
func (c *conn) onPublish(p *mqttsn.Packet) {
	name, rc := c.resolve(p)
	qos := max(p.Flags.QoS, 0)
	var sum uint32
	if rc == mqttsn.Accepted && qos > 0 {
		sum = c.srv.sum(name, p.Data)
		switch c.in.judge(p.MsgID, qos, p.Flags.DUP, sum) {
		case underWay:
			return
		case released:
			c.ack(mqttsn.Pubrec, p.MsgID)
			return
		case repeated:
			c.puback(topicID(p), p.MsgID, mqttsn.Accepted)
			return
		case taken:
			rc = mqttsn.Congestion
		case fresh:
		}
	}
	if rc == mqttsn.Accepted {
		rc = c.room(p)
	}
	if rc == mqttsn.Accepted {
		rc = c.publish(p, name, qos, sum)
	}
	if rc != mqttsn.Accepted && p.Flags.QoS >= 0 {
		c.puback(topicID(p), p.MsgID, rc)
	}
}

// room tells whether the message may be taken now.
func (c *conn) room(p *mqttsn.Packet) mqttsn.ReturnCode {
	if len(p.Data) > int(c.srv.edge.conf.MaxPayload) {
		c.srv.env.Metrics.FrameError("too_large")
		return mqttsn.NotSupported
	}
	if n, window := c.client.Inflight(); n >= window {
		return mqttsn.Congestion
	}
	return mqttsn.Accepted
}

func (c *conn) publish(p *mqttsn.Packet, name string, qos int8, sum uint32) mqttsn.ReturnCode {
	m := gateway.Message{Topic: name, Payload: bytes.Clone(p.Data), QoS: byte(qos), Retain: p.Flags.Retain}
	if qos > 0 {
		if c.in == nil {
			c.in = &inbound{}
		}
		m.Confirm = true
		m.Tag = c.in.begin(incoming{msgID: p.MsgID, topicID: topicID(p), qos: qos, sum: sum})
		m.ID = strconv.Itoa(int(p.MsgID)) + "." + strconv.FormatUint(m.Tag, 36) // ids come round, tags do not
	}
	err := c.client.Publish(c.srv.life, m)
	if err != nil && qos > 0 {
		c.in.done(m.Tag)
	}
	return codeFor(err)
}

// sum tells messages apart.
func (s *server) sum(topic string, payload []byte) uint32 {
	return uint32(maphash.String(s.seed, topic)*31 + maphash.Bytes(s.seed, payload))
}

// onAcked answers a message that is stored, or is not.
func (c *conn) onAcked(tag uint64, err error) {
	x, ok := c.in.done(tag)
	switch {
	case !ok: // QoS 0, which is not answered
	case err != nil:
		c.puback(x.topicID, x.msgID, codeFor(err))
	case x.qos == 2:
		c.in.hold(x.msgID)
		c.ack(mqttsn.Pubrec, x.msgID)
	default:
		c.in.acked(x)
		c.puback(x.topicID, x.msgID, mqttsn.Accepted)
	}
}

func (c *conn) puback(topicID, msgID uint16, rc mqttsn.ReturnCode) {
	c.send(mqttsn.Packet{Type: mqttsn.Puback, TopicID: topicID, MsgID: msgID, ReturnCode: rc})
}

// onPubrel ends a QoS 2 exchange; one that is not known has been ended before.
func (c *conn) onPubrel(p *mqttsn.Packet) {
	c.in.release(p.MsgID)
	c.ack(mqttsn.Pubcomp, p.MsgID)
}
