package mqttsn

import (
	"errors"
	"fmt"
)

// Type is the message type of a packet, MQTT-SN 1.2 §5.2.2.
type Type uint8

// The message types. 0x03, 0x11, 0x19 and 0x1E to 0xFD are reserved.
const (
	Advertise     Type = 0x00
	SearchGw      Type = 0x01
	GwInfo        Type = 0x02
	Connect       Type = 0x04
	Connack       Type = 0x05
	WillTopicReq  Type = 0x06
	WillTopic     Type = 0x07
	WillMsgReq    Type = 0x08
	WillMsg       Type = 0x09
	Register      Type = 0x0A
	Regack        Type = 0x0B
	Publish       Type = 0x0C
	Puback        Type = 0x0D
	Pubcomp       Type = 0x0E
	Pubrec        Type = 0x0F
	Pubrel        Type = 0x10
	Subscribe     Type = 0x12
	Suback        Type = 0x13
	Unsubscribe   Type = 0x14
	Unsuback      Type = 0x15
	Pingreq       Type = 0x16
	Pingresp      Type = 0x17
	Disconnect    Type = 0x18
	WillTopicUpd  Type = 0x1A
	WillTopicResp Type = 0x1B
	WillMsgUpd    Type = 0x1C
	WillMsgResp   Type = 0x1D
	Encapsulated  Type = 0xFE
)

// String is the name in the specification's capitals; "" for reserved types.
func (t Type) String() string {
	switch {
	case t == Encapsulated:
		return "ENCAPSULATED"
	case int(t) < len(names):
		return names[t]
	}
	return ""
}

var names = [...]string{
	"ADVERTISE", "SEARCHGW", "GWINFO", "", "CONNECT", "CONNACK", "WILLTOPICREQ", "WILLTOPIC", "WILLMSGREQ", "WILLMSG",
	"REGISTER", "REGACK", "PUBLISH", "PUBACK", "PUBCOMP", "PUBREC", "PUBREL", "", "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE",
	"UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "", "WILLTOPICUPD", "WILLTOPICRESP", "WILLMSGUPD", "WILLMSGRESP",
}

// ReturnCode answers CONNECT, REGISTER, PUBLISH, SUBSCRIBE and will updates,
// MQTT-SN 1.2 §5.3.10. 4 to 255 are reserved.
type ReturnCode uint8

// The return codes.
const (
	Accepted       ReturnCode = 0
	Congestion     ReturnCode = 1
	InvalidTopicID ReturnCode = 2
	NotSupported   ReturnCode = 3
)

// String is the code in words; those of other gateways are numbers.
func (c ReturnCode) String() string {
	switch c {
	case Accepted:
		return "accepted"
	case Congestion:
		return "congestion"
	case InvalidTopicID:
		return "invalid topic id"
	case NotSupported:
		return "not supported"
	}
	return fmt.Sprintf("reserved code %d", uint8(c))
}

// TopicIDType says what the topic field of a packet holds, MQTT-SN 1.2 §5.3.4.
type TopicIDType uint8

// The kinds of topics. In SUBSCRIBE and UNSUBSCRIBE, Normal is a topic name.
const (
	Normal     TopicIDType = 0
	Predefined TopicIDType = 1
	Short      TopicIDType = 2
	reserved   TopicIDType = 3
)

// String is the kind in the specification's words.
func (t TopicIDType) String() string {
	switch t {
	case Normal:
		return "normal"
	case Predefined:
		return "predefined"
	case Short:
		return "short"
	case reserved:
	}
	return fmt.Sprintf("reserved type %d", uint8(t))
}

// Flags are the bits of the flags field, MQTT-SN 1.2 §5.3.4.
type Flags struct {
	DUP, Retain, Will, Clean bool
	QoS                      int8 // -1 to 2
	TopicIDType              TopicIDType
}

// Packet is one message. Type tells which fields count; Name and Data lie in the
// datagram that was decoded.
type Packet struct {
	Type       Type
	Flags      Flags
	ReturnCode ReturnCode
	GwID       uint8  // ADVERTISE, GWINFO
	Radius     uint8  // SEARCHGW
	ProtocolID uint8  // CONNECT: 1
	TopicID    uint16 // of a normal or predefined topic
	MsgID      uint16
	Duration   uint16 // s: ADVERTISE, CONNECT (keep alive), DISCONNECT (sleep)

	HasDuration bool   // DISCONNECT: the device goes to sleep
	Empty       bool   // WILLTOPIC, WILLTOPICUPD: without flags and topic, which deletes the will
	Name        []byte // client id, topic name, short topic name (2 bytes), will topic
	Data        []byte // payload, will message, gateway address
}

// Why a datagram is no packet. All but ErrIncomplete are ErrSyntax.
var (
	ErrSyntax     = errors.New("mqttsn: malformed packet")
	ErrIncomplete = errors.New("mqttsn: datagram is shorter than its length field says")
	// ErrContent is ErrSyntax of a message whose layout is sound: it comes with the
	// packet, so that it can be answered by a return code.
	ErrContent = fmt.Errorf("%w: value not allowed", ErrSyntax)
	// ErrEmptyClientID is ErrContent of a CONNECT that leaves its name to the
	// gateway. A gateway may allow that: nothing else is wrong with the packet.
	ErrEmptyClientID = fmt.Errorf("%w: empty client id", ErrContent)
	// ErrNotEncodable: a packet that no datagram can carry.
	ErrNotEncodable = errors.New("mqttsn: packet cannot be encoded")
)

// MaxLength is the longest message, with its length field.
const MaxLength = 0xFFFF
