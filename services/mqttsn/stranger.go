package mqttsn

import (
	"bytes"

	"sluice/pkg/wire/mqttsn"
)

// stranger takes a datagram that is for no connected device (MQTT-SN 1.2 §6.14).
// No answer is longer than what it answers.
func (s *server) stranger(from place, p *mqttsn.Packet, bad bool) {
	switch {
	case p.Type == mqttsn.Advertise, p.Type == mqttsn.GwInfo: // of other gateways
	case bad:
		s.env.Metrics.FrameError("content")
		s.refuse(from, p)
	case p.Type == mqttsn.SearchGw:
		s.gwinfo(from)
	case p.Type == mqttsn.Connect:
		s.enter(from, p)
	case p.Type == mqttsn.Publish && p.Flags.QoS < 0:
		s.qos3.publish(p)
	case !s.errandOf(from, p) && from.conn() == nil:
		if p.Type != mqttsn.Disconnect {
			s.env.Metrics.FrameError("unexpected")
		}
		s.sendAway(from)
	}
}

// sendAway tells a device that it is not connected.
func (s *server) sendAway(to place) {
	if to.station.mayAnswer(s.now()) {
		_ = s.send(to, &mqttsn.Packet{Type: mqttsn.Disconnect})
	}
}

// gwinfo answers SEARCHGW, to where it came from (MQTT-SN 1.2 §6.1).
func (s *server) gwinfo(to place) {
	if to.station.mayAnswer(s.now()) {
		_ = s.send(to, &mqttsn.Packet{Type: mqttsn.GwInfo, GwID: uint8(s.edge.conf.GatewayID)})
	}
}

// enter begins the dialogue with a device that was not there.
func (s *server) enter(from place, p *mqttsn.Packet) {
	refuse := func(rc mqttsn.ReturnCode) {
		if from.station.mayAnswer(s.now()) {
			_ = s.send(from, &mqttsn.Packet{Type: mqttsn.Connack, ReturnCode: rc})
		}
	}
	if len(p.Name) == 0 && (!s.edge.conf.AllowEmptyClientID || !p.Flags.Clean) {
		refuse(mqttsn.NotSupported)
		return
	}
	c := newConn(s, from, string(p.Name))
	if !s.add(c) {
		refuse(mqttsn.Congestion)
		return
	}
	if _, ok := from.put(c); !ok {
		s.remove(c)
		refuse(mqttsn.Congestion)
		return
	}
	c.guard(func() {
		c.begin(newLogin(p))
		c.settle()
	})
}

// errandOf lets a sleeping device do what it came for: it says who it is, or is
// where it fell asleep. False when it is nobody known.
func (s *server) errandOf(from place, p *mqttsn.Packet) bool {
	var e errand
	id := ""
	switch p.Type {
	case mqttsn.Pingreq:
		e.kind, id = fetch, string(p.Name)
	case mqttsn.Disconnect:
		e.kind, e.nap = leave, p.Duration
		if p.HasDuration && p.Duration > 0 {
			e.kind = resleep
		}
	case mqttsn.Publish:
		e.kind = speak
		e.first = *p
		e.first.Name, e.first.Data = bytes.Clone(p.Name), bytes.Clone(p.Data)
	default:
		return false
	}
	if id == "" {
		if from.conn() != nil {
			return false
		}
		var ok bool
		if id, ok = s.asleep.get(from.key(), s.now()); !ok {
			return false
		}
	}
	s.rouse(from, id, &e)
	return true
}

// refuse answers a packet of sound form with a value that is not allowed.
func (s *server) refuse(to place, p *mqttsn.Packet) {
	answer := mqttsn.Packet{MsgID: p.MsgID, ReturnCode: mqttsn.NotSupported}
	switch p.Type {
	case mqttsn.Connect:
		answer.Type = mqttsn.Connack
	case mqttsn.Publish:
		if p.Flags.QoS < 0 {
			return
		}
		answer.Type, answer.TopicID = mqttsn.Puback, topicID(p)
		if p.Flags.TopicIDType == mqttsn.Normal || p.Flags.TopicIDType == mqttsn.Predefined {
			answer.ReturnCode = mqttsn.InvalidTopicID
		}
	case mqttsn.Register:
		answer.Type = mqttsn.Regack
	case mqttsn.Subscribe:
		answer.Type = mqttsn.Suback
		if p.Flags.TopicIDType == mqttsn.Predefined {
			answer.ReturnCode = mqttsn.InvalidTopicID
		}
	case mqttsn.Unsubscribe:
		answer.Type = mqttsn.Unsuback
	case mqttsn.WillTopicUpd:
		answer.Type = mqttsn.WillTopicResp
	case mqttsn.WillMsgUpd:
		answer.Type = mqttsn.WillMsgResp
	default:
		return
	}
	if to.conn() == nil && p.Type != mqttsn.Connect {
		s.sendAway(to)
		return
	}
	_ = s.send(to, &answer)
}
