package mqttsn

import (
	"encoding/binary"
	"fmt"
)

// Append adds the packet as one datagram, with the short form of the length
// where it fits. The error is ErrNotEncodable, and dst is returned as it was.
func (p *Packet) Append(dst []byte) ([]byte, error) {
	n, err := p.size()
	if err != nil {
		return dst, err
	}
	if n += 2; n <= 0xFF {
		dst = append(dst, byte(n), byte(p.Type))
	} else {
		n += 2
		dst = append(dst, 1, byte(n>>8), byte(n), byte(p.Type))
	}
	return p.appendBody(dst), nil
}

// size is the length of the body, of a packet that Decode would take.
func (p *Packet) size() (int, error) {
	least, exact := size(p.Type)
	n := least
	switch p.Type {
	case GwInfo:
		n += len(p.Data)
	case Connect, Register:
		n += len(p.Name) - 1
	case WillTopic, WillTopicUpd:
		if !p.Empty {
			n += 1 + len(p.Name)
		}
	case WillMsg, WillMsgUpd, Publish:
		n += len(p.Data)
	case Subscribe, Unsubscribe:
		n = 5
		if p.Flags.TopicIDType == Normal {
			n = 3 + len(p.Name)
		}
	case Pingreq:
		n += len(p.Name)
	case Disconnect:
		if p.HasDuration {
			n += 2
		}
	default:
		if !exact {
			return 0, fmt.Errorf("%w: type 0x%02x", ErrNotEncodable, uint8(p.Type))
		}
	}
	return n, p.check(n, least)
}

func (p *Packet) check(n, least int) error {
	topical := p.Type == Publish || p.Type == Subscribe || p.Type == Unsubscribe
	switch {
	case n < least:
		return fmt.Errorf("%w: %s without a name", ErrNotEncodable, p.Type)
	case n+4 > MaxLength:
		return fmt.Errorf("%w: %d bytes are too long", ErrNotEncodable, n)
	case p.Flags.QoS < -1 || p.Flags.QoS > 2:
		return fmt.Errorf("%w: QoS %d", ErrNotEncodable, p.Flags.QoS)
	case (p.Type == WillTopic || p.Type == WillTopicUpd) && p.Flags.QoS < 0:
		return fmt.Errorf("%w: %s with QoS -1", ErrNotEncodable, p.Type)
	case p.Flags.TopicIDType > reserved, topical && p.Flags.TopicIDType == reserved:
		return fmt.Errorf("%w: reserved topic id type", ErrNotEncodable)
	case topical && p.Flags.TopicIDType == Short && len(p.Name) != 2:
		return fmt.Errorf("%w: short topic name of %d bytes", ErrNotEncodable, len(p.Name))
	}
	return nil
}

func (p *Packet) appendBody(b []byte) []byte {
	put := binary.BigEndian.AppendUint16
	switch p.Type {
	case Advertise:
		return put(append(b, p.GwID), p.Duration)
	case SearchGw:
		return append(b, p.Radius)
	case GwInfo:
		return append(append(b, p.GwID), p.Data...)
	case Connect:
		return append(put(append(b, p.Flags.bits(), p.ProtocolID), p.Duration), p.Name...)
	case Connack, WillTopicResp, WillMsgResp:
		return append(b, byte(p.ReturnCode))
	case WillTopic, WillTopicUpd:
		if p.Empty {
			return b
		}
		return append(append(b, p.Flags.bits()), p.Name...)
	case WillMsg, WillMsgUpd:
		return append(b, p.Data...)
	case Register:
		return append(put(put(b, p.TopicID), p.MsgID), p.Name...)
	case Regack, Puback:
		return append(put(put(b, p.TopicID), p.MsgID), byte(p.ReturnCode))
	case Publish:
		return append(put(p.appendTopic(append(b, p.Flags.bits())), p.MsgID), p.Data...)
	case Pubcomp, Pubrec, Pubrel, Unsuback:
		return put(b, p.MsgID)
	case Subscribe, Unsubscribe:
		b = put(append(b, p.Flags.bits()), p.MsgID)
		if p.Flags.TopicIDType == Normal {
			return append(b, p.Name...)
		}
		return p.appendTopic(b)
	case Suback:
		return append(put(put(append(b, p.Flags.bits()), p.TopicID), p.MsgID), byte(p.ReturnCode))
	case Pingreq:
		return append(b, p.Name...)
	case Disconnect:
		if p.HasDuration {
			return put(b, p.Duration)
		}
	case WillTopicReq, WillMsgReq, Pingresp, Encapsulated:
	}
	return b
}

func (p *Packet) appendTopic(b []byte) []byte {
	if p.Flags.TopicIDType == Short {
		return append(b, p.Name...)
	}
	return binary.BigEndian.AppendUint16(b, p.TopicID)
}

func (f Flags) bits() byte {
	b := byte(f.QoS&3)<<5 | byte(f.TopicIDType)
	for _, x := range [...]struct {
		on  bool
		bit byte
	}{{f.DUP, 0x80}, {f.Retain, 0x10}, {f.Will, 8}, {f.Clean, 4}} {
		if x.on {
			b |= x.bit
		}
	}
	return b
}
