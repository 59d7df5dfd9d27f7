package mqttsn

import (
	"encoding/hex"
	"encoding/json"
)

// MarshalJSON shows the fields that count for the type: names as text, payloads
// in hex, flags as numbers.
func (p Packet) MarshalJSON() ([]byte, error) {
	m := map[string]any{"type": p.Type.String()}
	switch p.Type {
	case Advertise:
		m["gw_id"], m["duration"] = p.GwID, p.Duration
	case SearchGw:
		m["radius"] = p.Radius
	case GwInfo:
		m["gw_id"] = p.GwID
		if len(p.Data) > 0 {
			m["gw_addr_hex"] = hex.EncodeToString(p.Data)
		}
	case Connect:
		m["flags"], m["protocol_id"], m["duration"], m["client_id"] = p.Flags, p.ProtocolID, p.Duration, string(p.Name)
	case Connack, WillTopicResp, WillMsgResp:
		m["return_code"] = p.ReturnCode
	case WillTopic, WillTopicUpd:
		if p.Empty {
			m["empty"] = true
		} else {
			m["flags"], m["topic"] = p.Flags, string(p.Name)
		}
	case WillMsg, WillMsgUpd:
		m["message_hex"] = hex.EncodeToString(p.Data)
	case Register:
		m["topic_id"], m["msg_id"], m["topic_name"] = p.TopicID, p.MsgID, string(p.Name)
	case Regack, Puback:
		m["topic_id"], m["msg_id"], m["return_code"] = p.TopicID, p.MsgID, p.ReturnCode
	case Publish:
		p.topicJSON(m)
		m["data_hex"] = hex.EncodeToString(p.Data)
	case Subscribe, Unsubscribe:
		p.topicJSON(m)
	case Pubcomp, Pubrec, Pubrel, Unsuback:
		m["msg_id"] = p.MsgID
	case Suback:
		m["flags"], m["topic_id"], m["msg_id"], m["return_code"] = p.Flags, p.TopicID, p.MsgID, p.ReturnCode
	case Pingreq:
		if len(p.Name) > 0 {
			m["client_id"] = string(p.Name)
		}
	case Disconnect:
		if p.HasDuration {
			m["duration"] = p.Duration
		}
	case WillTopicReq, WillMsgReq, Pingresp, Encapsulated:
	}
	return json.Marshal(m)
}

func (p Packet) topicJSON(m map[string]any) {
	m["flags"], m["msg_id"] = p.Flags, p.MsgID
	switch {
	case p.Flags.TopicIDType == Short:
		m["short_name"] = string(p.Name)
	case p.Flags.TopicIDType == Normal && p.Type != Publish:
		m["topic_name"] = string(p.Name)
	default:
		m["topic_id"] = p.TopicID
	}
}

// MarshalJSON implements [json.Marshaler]: bits as 0 and 1.
func (f Flags) MarshalJSON() ([]byte, error) {
	bit := func(on bool) int {
		if on {
			return 1
		}
		return 0
	}
	return json.Marshal(map[string]int{
		"dup": bit(f.DUP), "qos": int(f.QoS), "retain": bit(f.Retain), "will": bit(f.Will), "clean": bit(f.Clean),
		"topic_id_type": int(f.TopicIDType),
	})
}

// MarshalJSON implements [json.Marshaler].
func (f Forward) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"radius": f.Radius, "node_id_hex": hex.EncodeToString(f.NodeID)})
}
