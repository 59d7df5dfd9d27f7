package mqttsn

import (
	"encoding/binary"
	"fmt"
)

// Decode reads the message that b is, all of it. The packet points into b.
// Reserved types and a wrapped message (see [Unwrap]) are ErrSyntax. With
// [ErrContent] there is a packet all the same: the layout is sound, a value is not.
func Decode(b []byte) (Packet, error) {
	head, n, err := length(b)
	if err != nil {
		return Packet{}, err
	}
	if n != len(b) {
		return Packet{}, fmt.Errorf("%w: length %d, datagram %d", ErrSyntax, n, len(b))
	}
	p := Packet{Type: Type(b[head])}
	if err := p.body(b[head+1:]); err != nil {
		return Packet{}, err
	}
	return p, p.content()
}

// length reads the length field, MQTT-SN 1.2 §5.2.1: its own size and the
// length of the message, which has a type at least and is all there.
func length(b []byte) (head, n int, err error) {
	if len(b) > 0 && b[0] == 0 {
		return 0, 0, fmt.Errorf("%w: length 0", ErrSyntax)
	}
	if len(b) < 2 {
		return 0, 0, ErrIncomplete
	}
	head, n = 1, int(b[0])
	if n == 1 {
		if len(b) < 3 {
			return 0, 0, ErrIncomplete
		}
		head, n = 3, int(binary.BigEndian.Uint16(b[1:]))
	}
	switch {
	case n <= head:
		return 0, 0, fmt.Errorf("%w: length %d", ErrSyntax, n)
	case n > len(b):
		return 0, 0, ErrIncomplete
	}
	return head, n, nil
}

// body reads what follows the type, by MQTT-SN 1.2 §5.4.
func (p *Packet) body(b []byte) error {
	least, exact := size(p.Type)
	switch {
	case least < 0:
		return fmt.Errorf("%w: reserved type 0x%02x", ErrSyntax, uint8(p.Type))
	case len(b) < least, exact && len(b) > least:
		return p.badLength(b)
	}
	switch p.Type {
	case Advertise:
		p.GwID, p.Duration = b[0], u16(b[1:])
	case SearchGw:
		p.Radius = b[0]
	case GwInfo:
		p.GwID, p.Data = b[0], rest(b[1:])
	case Connect:
		p.Flags, p.ProtocolID, p.Duration, p.Name = flags(b[0]), b[1], u16(b[2:]), rest(b[4:])
	case Connack, WillTopicResp, WillMsgResp:
		p.ReturnCode = ReturnCode(b[0])
	case WillTopic, WillTopicUpd:
		p.will(b)
	case WillMsg, WillMsgUpd:
		p.Data = rest(b)
	case Register:
		p.TopicID, p.MsgID, p.Name = u16(b), u16(b[2:]), rest(b[4:])
	case Regack, Puback:
		p.TopicID, p.MsgID, p.ReturnCode = u16(b), u16(b[2:]), ReturnCode(b[4])
	case Publish:
		p.publish(b)
	case Pubcomp, Pubrec, Pubrel, Unsuback:
		p.MsgID = u16(b)
	case Subscribe, Unsubscribe:
		return p.subscribe(b)
	case Suback:
		p.Flags, p.TopicID, p.MsgID, p.ReturnCode = flags(b[0]), u16(b[1:]), u16(b[3:]), ReturnCode(b[5])
	case Pingreq:
		p.Name = rest(b)
	case Disconnect:
		return p.disconnect(b)
	case WillTopicReq, WillMsgReq, Pingresp, Encapsulated:
	}
	return nil
}

// size is how long the body of a type is at least, and whether that is all;
// -1 for types that are not read here.
func size(t Type) (least int, exact bool) {
	switch t {
	case WillTopicReq, WillMsgReq, Pingresp:
		return 0, true
	case SearchGw, Connack, WillTopicResp, WillMsgResp:
		return 1, true
	case Pubcomp, Pubrec, Pubrel, Unsuback:
		return 2, true
	case Advertise:
		return 3, true
	case Regack, Puback:
		return 5, true
	case Suback:
		return 6, true
	case WillTopic, WillTopicUpd, WillMsg, WillMsgUpd, Pingreq, Disconnect:
		return 0, false
	case GwInfo:
		return 1, false
	case Subscribe, Unsubscribe:
		return 3, false
	case Connect, Register:
		return 4, false
	case Publish:
		return 5, false
	case Encapsulated: // is taken apart by Unwrap
	}
	return -1, false
}

func (p *Packet) badLength(b []byte) error {
	return fmt.Errorf("%w: %s body length %d", ErrSyntax, p.Type, len(b))
}

func (p *Packet) will(b []byte) {
	if len(b) == 0 {
		p.Empty = true
		return
	}
	p.Flags, p.Name = flags(b[0]), rest(b[1:])
}

func (p *Packet) publish(b []byte) {
	p.Flags, p.MsgID, p.Data = flags(b[0]), u16(b[3:]), rest(b[5:])
	p.topic(b[1:3])
}

// subscribe reads a topic by its kind. What a reserved kind would hold nobody
// knows, but the message id before it is known.
func (p *Packet) subscribe(b []byte) error {
	p.Flags, p.MsgID = flags(b[0]), u16(b[1:])
	switch p.Flags.TopicIDType {
	case Normal:
		p.Name = rest(b[3:])
	case Predefined, Short:
		if len(b) != 5 {
			return fmt.Errorf("%w: topic of %d bytes", ErrSyntax, len(b)-3)
		}
		p.topic(b[3:])
	case reserved:
	}
	return nil
}

// topic reads two bytes: an id, or the short name itself.
func (p *Packet) topic(b []byte) {
	if p.Flags.TopicIDType == Short {
		p.Name = b[:2:2] // an append must not reach into the datagram
		return
	}
	p.TopicID = u16(b)
}

// rest is the end of a body; nothing is nil, so that equal packets are equal.
func rest(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

func (p *Packet) disconnect(b []byte) error {
	switch len(b) {
	case 0:
	case 2:
		p.HasDuration, p.Duration = true, u16(b)
	default:
		return p.badLength(b)
	}
	return nil
}

func u16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }

func flags(b byte) Flags {
	qos := int8(b >> 5 & 3)
	if qos == 3 {
		qos = -1
	}
	return Flags{DUP: b&0x80 != 0, QoS: qos, Retain: b&0x10 != 0, Will: b&8 != 0, Clean: b&4 != 0, TopicIDType: TopicIDType(b & 3)}
}
