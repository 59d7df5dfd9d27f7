package mqttsn

import "fmt"

const protocolID = 1 // MQTT-SN 1.2 §5.3.8

// content tells the first value that MQTT-SN 1.2 §5.3 does not allow. Flags
// without a meaning in the message, reserved return codes and message ids are
// not looked at: devices in the field are careless there and mean no harm.
func (p *Packet) content() error {
	what := ""
	switch p.Type {
	case Connect:
		switch {
		case p.ProtocolID != protocolID:
			return fmt.Errorf("%w: protocol id %d", ErrContent, p.ProtocolID)
		case len(p.Name) == 0:
			return ErrEmptyClientID
		}
	case WillTopic, WillTopicUpd:
		if p.Flags.QoS < 0 { // without a topic it is as good as empty: some devices write the flags all the same
			what = "QoS -1"
		}
	case Register:
		switch {
		case len(p.Name) == 0:
			what = "empty topic name"
		case p.TopicID == lastTopicID: // 0 is what a client sends
			what = "reserved topic id"
		}
	case Publish, Subscribe, Unsubscribe:
		what = p.badTopic()
	default:
	}
	if what == "" {
		return nil
	}
	return fmt.Errorf("%w: %s with %s", ErrContent, p.Type, what)
}

const lastTopicID = 0xFFFF // reserved, as 0 is: MQTT-SN 1.2 §5.3.11

// badTopic is what is wrong with the topic of a packet that is about one.
func (p *Packet) badTopic() string {
	byName := p.Flags.TopicIDType == Normal && p.Type != Publish
	switch {
	case p.Flags.TopicIDType == Short:
	case p.Flags.TopicIDType == reserved:
		return "reserved topic id type"
	case byName && len(p.Name) == 0:
		return "empty topic name"
	case !byName && (p.TopicID == 0 || p.TopicID == lastTopicID):
		return "reserved topic id"
	}
	return ""
}
