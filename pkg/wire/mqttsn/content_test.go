package mqttsn_test

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/mqttsn"
)

// What is sound but for a value comes with all that an answer needs.
func TestContentErrors(t *testing.T) {
	flags := func(kind mqttsn.TopicIDType) mqttsn.Flags { return mqttsn.Flags{TopicIDType: kind} }
	for name, c := range map[string]struct {
		hex  string
		want mqttsn.Packet
		text string
	}{
		"protocol id":                 {"0704000200 0a61", mqttsn.Packet{Type: mqttsn.Connect, ProtocolID: 2, Duration: 10, Name: []byte("a")}, "protocol id 2"},
		"protocol id 0, no client id": {"060400000000", mqttsn.Packet{Type: mqttsn.Connect}, "protocol id 0"},
		"PUBLISH, topic id type 3":    {"080c230001 0007 78", mqttsn.Packet{Type: mqttsn.Publish, Flags: mqttsn.Flags{QoS: 1, TopicIDType: 3}, TopicID: 1, MsgID: 7, Data: []byte("x")}, "reserved topic id type"},
		"PUBLISH, topic id 0":         {"070c000000 0007", mqttsn.Packet{Type: mqttsn.Publish, MsgID: 7}, "reserved topic id"},
		"PUBLISH, topic id 65535":     {"070c01ffff 0007", mqttsn.Packet{Type: mqttsn.Publish, Flags: flags(1), TopicID: 0xFFFF, MsgID: 7}, "reserved topic id"},
		"SUBSCRIBE, topic id type 3":  {"0712030007 0001", mqttsn.Packet{Type: mqttsn.Subscribe, Flags: flags(3), MsgID: 7}, "reserved topic id type"},
		"SUBSCRIBE, type 3, no topic": {"0512030007", mqttsn.Packet{Type: mqttsn.Subscribe, Flags: flags(3), MsgID: 7}, "reserved topic id type"},
		"SUBSCRIBE, no filter":        {"0512000007", mqttsn.Packet{Type: mqttsn.Subscribe, MsgID: 7}, "empty topic name"},
		"SUBSCRIBE, topic id 0":       {"0712010007 0000", mqttsn.Packet{Type: mqttsn.Subscribe, Flags: flags(1), MsgID: 7}, "reserved topic id"},
		"UNSUBSCRIBE, no filter":      {"0514000007", mqttsn.Packet{Type: mqttsn.Unsubscribe, MsgID: 7}, "empty topic name"},
		"UNSUBSCRIBE, topic id 65535": {"0714010007 ffff", mqttsn.Packet{Type: mqttsn.Unsubscribe, Flags: flags(1), TopicID: 0xFFFF, MsgID: 7}, "reserved topic id"},
		"REGISTER, no name":           {"060a0000 0007", mqttsn.Packet{Type: mqttsn.Register, MsgID: 7}, "empty topic name"},
		"REGISTER, topic id 65535":    {"070affff 0007 61", mqttsn.Packet{Type: mqttsn.Register, TopicID: 0xFFFF, MsgID: 7, Name: []byte("a")}, "reserved topic id"},
		"WILLTOPIC, QoS -1":           {"04076061", mqttsn.Packet{Type: mqttsn.WillTopic, Flags: mqttsn.Flags{QoS: -1}, Name: []byte("a")}, "QoS -1"},
		"WILLTOPICUPD, QoS -1":        {"041a6061", mqttsn.Packet{Type: mqttsn.WillTopicUpd, Flags: mqttsn.Flags{QoS: -1}, Name: []byte("a")}, "QoS -1"},
	} {
		p, err := mqttsn.Decode(bytesOf(t, c.hex))
		require.ErrorIs(t, err, mqttsn.ErrContent, name)
		require.ErrorIs(t, err, mqttsn.ErrSyntax, name)
		require.NotErrorIs(t, err, mqttsn.ErrEmptyClientID, name)
		require.ErrorContains(t, err, c.text, name)
		require.Equal(t, c.want, p, name)
		_, err = p.Append(nil)
		require.ErrorIs(t, err, mqttsn.ErrNotEncodable, name)
	}
}

// A gateway may name the device itself, so this one is told from the others, and
// a device can send it.
func TestEmptyClientID(t *testing.T) {
	want := mqttsn.Packet{Type: mqttsn.Connect, Flags: mqttsn.Flags{Clean: true}, ProtocolID: 1, Duration: 60}
	b, err := want.Append(nil)
	require.NoError(t, err)
	require.Equal(t, "06040401003c", hex.EncodeToString(b))
	p, err := mqttsn.Decode(b)
	require.ErrorIs(t, err, mqttsn.ErrEmptyClientID)
	require.ErrorIs(t, err, mqttsn.ErrContent)
	require.Equal(t, want, p)
}

// Values that look wrong but are used: they decode.
func TestLenientContent(t *testing.T) {
	for name, text := range map[string]string{
		"REGISTER of a client":       "070a0000 0007 61",
		"SUBACK of a wildcard":       "081300 0000 0007 00",
		"PUBACK of a refused id":     "070dffff 0007 02",
		"REGACK that refuses":        "070b0000 0007 03",
		"reserved return code":       "030580",
		"PUBLISH QoS 1, msg id 0":    "070c200001 0000",
		"short name of two zeros":    "070c020000 0007",
		"CONNECT, topic id type 3":   "0704030100 0061",
		"WILLTOPIC of flags only":    "030700",
		"short message in long form": "01000417",
	} {
		_, err := mqttsn.Decode(bytesOf(t, text))
		require.NoError(t, err, name)
	}
}

// Without a sound layout there is no packet: nothing could be answered.
func TestLayoutErrors(t *testing.T) {
	for name, c := range map[string]struct {
		hex  string
		want error
	}{
		"nothing":                    {"", mqttsn.ErrIncomplete},
		"zero byte":                  {"00", mqttsn.ErrSyntax},
		"length 0":                   {"0017", mqttsn.ErrSyntax},
		"one byte":                   {"02", mqttsn.ErrIncomplete},
		"half a long length":         {"0100", mqttsn.ErrIncomplete},
		"long length without a type": {"010003", mqttsn.ErrSyntax},
		"CONNECT of 3 bytes":         {"0504000100", mqttsn.ErrSyntax},
		"SUBSCRIBE, id of one byte":  {"0612010007 01", mqttsn.ErrSyntax},
		"SUBSCRIBE, name of three":   {"0812020007 616263", mqttsn.ErrSyntax},
		"SUBSCRIBE of 2 bytes":       {"04120000", mqttsn.ErrSyntax},
		"REGISTER of 3 bytes":        {"050a000000", mqttsn.ErrSyntax},
		"DISCONNECT of one byte":     {"031800", mqttsn.ErrSyntax},
		"SEARCHGW of MQTT-SN 2.0":    {"040100 00", mqttsn.ErrSyntax},
		"reserved type":              {"0203", mqttsn.ErrSyntax},
		"wrapping":                   {"04fe0001", mqttsn.ErrSyntax},
	} {
		p, err := mqttsn.Decode(bytesOf(t, c.hex))
		require.ErrorIs(t, err, c.want, name)
		require.NotErrorIs(t, err, mqttsn.ErrContent, name)
		require.Zero(t, p, name)
	}
}

func TestNames(t *testing.T) {
	for want, got := range map[string]interface{ String() string }{
		"accepted": mqttsn.Accepted, "congestion": mqttsn.Congestion, "invalid topic id": mqttsn.InvalidTopicID,
		"not supported": mqttsn.NotSupported, "reserved code 128": mqttsn.ReturnCode(0x80),
		"normal": mqttsn.Normal, "predefined": mqttsn.Predefined, "short": mqttsn.Short, "reserved type 3": mqttsn.TopicIDType(3),
		"ENCAPSULATED": mqttsn.Encapsulated, "PUBREL": mqttsn.Pubrel, "": mqttsn.Type(0x1E),
	} {
		require.Equal(t, want, got.String())
	}
}
