package sim

import (
	"bytes"
	"errors"
	"net"

	"sluice/pkg/wire/mqttsn"
)

// read takes what comes until the link is cut or the gateway says DISCONNECT.
func (d *MQTTSN) read() {
	defer close(d.done)
	buf := make([]byte, 4096)
	for {
		n, err := d.conn.Read(buf)
		if err != nil {
			if refusedPort(err) { // nobody listens at this moment: as good as lost
				continue
			}
			d.end(ErrGone)
			return
		}
		b := bytes.Clone(buf[:n])
		if d.o.Trace != nil {
			d.o.Trace(false, b)
		}
		if mqttsn.IsForwarded(b) {
			f, inner, err := mqttsn.Unwrap(b)
			if err != nil || !bytes.Equal(f.NodeID, d.o.Node) {
				continue
			}
			b = inner
		}
		p, err := mqttsn.Decode(b)
		if err != nil {
			d.end(err)
			return
		}
		if d.take(p) {
			return
		}
	}
}

// refusedPort tells the echo of a datagram that nobody took.
func refusedPort(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !errors.Is(err, net.ErrClosed) && op.Op == "read"
}

func (d *MQTTSN) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
	}
}

// take handles one packet; over means that the gateway has ended it.
func (d *MQTTSN) take(p mqttsn.Packet) (over bool) {
	switch p.Type {
	case mqttsn.WillTopicReq:
		w := d.o.Will
		d.answerWith(mqttsn.Packet{Type: mqttsn.WillTopic, Flags: mqttsn.Flags{QoS: w.QoS, Retain: w.Retain}, Name: []byte(w.Topic)})
	case mqttsn.WillMsgReq:
		d.answerWith(mqttsn.Packet{Type: mqttsn.WillMsg, Data: d.o.Will.Payload})
	case mqttsn.Register:
		d.mu.Lock()
		d.names[p.TopicID], d.ids[string(p.Name)] = string(p.Name), p.TopicID
		d.mu.Unlock()
		d.answerWith(mqttsn.Packet{Type: mqttsn.Regack, TopicID: p.TopicID, MsgID: p.MsgID})
	case mqttsn.Publish:
		d.message(p)
	case mqttsn.Pubrel:
		d.mu.Lock()
		delete(d.received, p.MsgID)
		d.mu.Unlock()
		d.answerWith(mqttsn.Packet{Type: mqttsn.Pubcomp, MsgID: p.MsgID})
	case mqttsn.Disconnect:
		if d.answered(question{answer: mqttsn.Disconnect}, p) {
			return false
		}
		d.end(ErrSentAway)
		return true
	case mqttsn.Connack, mqttsn.Pingresp, mqttsn.GwInfo, mqttsn.WillTopicResp, mqttsn.WillMsgResp:
		d.answered(question{answer: p.Type}, p)
	case mqttsn.Puback: // also refuses QoS 2
		if !d.answered(question{mqttsn.Puback, p.MsgID}, p) {
			d.answered(question{mqttsn.Pubrec, p.MsgID}, p)
		}
	default:
		d.answered(question{p.Type, p.MsgID}, p)
	}
	return false
}

func (d *MQTTSN) answered(q question, p mqttsn.Packet) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.waiting[q]
	if c == nil {
		return false
	}
	select {
	case c <- p:
	default: // the answer came twice
	}
	return true
}

func (d *MQTTSN) answerWith(p mqttsn.Packet) { _ = d.Send(p) }

// message takes a PUBLISH of the gateway.
func (d *MQTTSN) message(p mqttsn.Packet) {
	m := MQTTSNMessage{Payload: p.Data, QoS: p.Flags.QoS, Retain: p.Flags.Retain, DUP: p.Flags.DUP, MsgID: p.MsgID, TopicID: p.TopicID}
	known := true
	d.mu.Lock()
	switch p.Flags.TopicIDType {
	case mqttsn.Short:
		m.Topic = string(p.Name)
	case mqttsn.Predefined:
		m.Topic, known = d.o.Predefined[p.TopicID]
	default:
		m.Topic, known = d.names[p.TopicID]
	}
	again := p.Flags.QoS == 2 && d.received[p.MsgID]
	if p.Flags.QoS == 2 {
		d.received[p.MsgID] = true
	}
	d.mu.Unlock()
	if !known {
		d.answerWith(mqttsn.Packet{Type: mqttsn.Puback, TopicID: p.TopicID, MsgID: p.MsgID, ReturnCode: mqttsn.InvalidTopicID})
		return
	}
	if d.o.AutoAck || again {
		d.Acknowledge(m)
	}
	if !again {
		d.Messages <- m
	}
}

// Acknowledge answers a message: PUBACK, or PUBREC.
func (d *MQTTSN) Acknowledge(m MQTTSNMessage) {
	switch m.QoS {
	case 1:
		d.answerWith(mqttsn.Packet{Type: mqttsn.Puback, TopicID: m.TopicID, MsgID: m.MsgID})
	case 2:
		d.answerWith(mqttsn.Packet{Type: mqttsn.Pubrec, MsgID: m.MsgID})
	}
}
