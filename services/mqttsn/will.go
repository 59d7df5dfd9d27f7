package mqttsn

import (
	"bytes"
	"time"

	"sluice/pkg/gateway"
	"sluice/pkg/subject"
	"sluice/pkg/wire/mqttsn"
)

// will is what is published when the device is lost.
type will struct {
	Topic   string `json:"topic"`
	Payload []byte `json:"payload,omitempty"`
	QoS     byte   `json:"qos,omitempty"`
	Retain  bool   `json:"retain,omitempty"`
}

func (w *will) message() gateway.Message {
	return gateway.Message{Topic: w.Topic, Payload: w.Payload, QoS: w.QoS, Retain: w.Retain}
}

// ask sends WILLTOPICREQ or WILLMSGREQ (MQTT-SN 1.2 §6.2).
func (c *conn) ask(what mqttsn.Type) {
	l := c.login
	if l.step != what {
		l.step, l.tries = what, 0
	}
	l.again = c.srv.now() + c.srv.edge.conf.RetxInterval
	c.send(mqttsn.Packet{Type: what})
}

// askAgain repeats what was lost, a few times.
func (c *conn) askAgain(now time.Duration) {
	l, conf := c.login, &c.srv.edge.conf
	switch {
	case now >= l.until, now >= l.again && l.tries >= conf.RetxMaxTimes:
		c.end(gateway.ErrIdle)
	case now >= l.again:
		l.tries++
		c.ask(l.step)
	}
}

// onWill takes what comes during the will dialogue. Anything that does not
// belong to it ends it.
func (c *conn) onWill(p *mqttsn.Packet) {
	l := c.login
	switch {
	case p.Type == mqttsn.WillTopic && len(p.Name) == 0: // which deletes it
		c.join()
	case p.Type == mqttsn.WillTopic:
		if _, err := subject.FromTopic(string(p.Name)); err != nil || p.Flags.QoS < 0 {
			c.turnAway()
			return
		}
		l.will = &will{Topic: string(p.Name), QoS: byte(p.Flags.QoS), Retain: p.Flags.Retain}
		c.ask(mqttsn.WillMsgReq)
	case p.Type == mqttsn.WillMsg && l.step == mqttsn.WillMsgReq:
		if len(p.Data) > int(c.srv.edge.conf.MaxPayload) {
			c.turnAway()
			return
		}
		l.will.Payload = bytes.Clone(p.Data)
		c.join()
	default:
		c.unexpected()
		c.lose(gateway.ErrProtocol)
	}
}

// turnAway refuses a device for what it has said of its will.
func (c *conn) turnAway() {
	c.code(mqttsn.Connack, mqttsn.NotSupported)
	c.end(gateway.ErrProtocol)
}

// onWillTopicUpd changes or deletes the will (MQTT-SN 1.2 §6.4).
func (c *conn) onWillTopicUpd(p *mqttsn.Packet) {
	rc := mqttsn.Accepted
	if len(p.Name) == 0 {
		c.will = nil
	} else if _, err := subject.FromTopic(string(p.Name)); err != nil {
		rc = mqttsn.NotSupported
	} else {
		w := &will{Topic: string(p.Name), QoS: byte(p.Flags.QoS), Retain: p.Flags.Retain}
		if c.will != nil {
			w.Payload = c.will.Payload
		}
		c.will = w
	}
	c.code(mqttsn.WillTopicResp, rc)
}

// onWillMsgUpd changes the will's message; there must be a will.
func (c *conn) onWillMsgUpd(p *mqttsn.Packet) {
	rc := mqttsn.Accepted
	if c.will == nil || len(p.Data) > int(c.srv.edge.conf.MaxPayload) {
		rc = mqttsn.NotSupported
	} else {
		w := *c.will
		w.Payload = bytes.Clone(p.Data)
		c.will = &w
	}
	c.code(mqttsn.WillMsgResp, rc)
}

// early takes what comes while the door decides: repetitions mean nothing, and
// the rest comes too early.
func (c *conn) early(p *mqttsn.Packet) {
	switch p.Type {
	case mqttsn.WillTopic, mqttsn.WillMsg, mqttsn.Pingreq:
	default:
		c.unexpected()
	}
}
