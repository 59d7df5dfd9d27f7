package mqttsn

import (
	"encoding/binary"
	"errors"
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
	if least < 0 {
		return 0, fmt.Errorf("%w: type 0x%02x", ErrNotEncodable, uint8(p.Type))
	}
	n := least
	if !exact {
		n += p.tail()
	}
	if n+4 > MaxLength {
		return 0, fmt.Errorf("%w: %d bytes are too long", ErrNotEncodable, n)
	}
	return n, p.check()
}

// tail is the length of what follows the fields that are always there.
func (p *Packet) tail() int {
	switch p.Type {
	case WillTopic, WillTopicUpd:
		if p.Empty {
			return 0
		}
		return 1 + len(p.Name)
	case Subscribe, Unsubscribe:
		if p.Flags.TopicIDType != Normal {
			return 2
		}
	case Disconnect:
		if p.HasDuration {
			return 2
		}
		return 0
	case GwInfo, WillMsg, WillMsgUpd, Publish:
		return len(p.Data)
	default:
	}
	return len(p.Name)
}

// check refuses what Decode would. An empty client id is a device's to send.
func (p *Packet) check() error {
	topical := p.Type == Publish || p.Type == Subscribe || p.Type == Unsubscribe
	switch {
	case p.Flags.QoS < -1 || p.Flags.QoS > 2:
		return fmt.Errorf("%w: QoS %d", ErrNotEncodable, p.Flags.QoS)
	case p.Flags.TopicIDType > reserved:
		return fmt.Errorf("%w: topic id type %d", ErrNotEncodable, p.Flags.TopicIDType)
	case topical && p.Flags.TopicIDType == Short && len(p.Name) != 2:
		return fmt.Errorf("%w: short topic name of %d bytes", ErrNotEncodable, len(p.Name))
	}
	if err := p.content(); err != nil && !errors.Is(err, ErrEmptyClientID) {
		return fmt.Errorf("%w: %w", ErrNotEncodable, err)
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
