package mqttsn_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/mqttsn"
)

func TestLongForm(t *testing.T) {
	p := mqttsn.Packet{Type: mqttsn.Publish, TopicID: 1, MsgID: 2, Data: bytes.Repeat([]byte("x"), 60_000)}
	b, err := p.Append(nil)
	require.NoError(t, err)
	require.Equal(t, byte(1), b[0])
	got, err := mqttsn.Decode(b)
	require.NoError(t, err)
	require.Equal(t, p, got)

	// At the border: 255 bytes have the short form, one more the long one.
	p.Data = p.Data[:248]
	b, err = p.Append(nil)
	require.NoError(t, err)
	require.Len(t, b, 255)
	p.Data = append(p.Data, 'x')
	b, err = p.Append(nil)
	require.NoError(t, err)
	require.Len(t, b, 258)
}

func TestNotEncodable(t *testing.T) {
	for name, p := range map[string]mqttsn.Packet{
		"reserved type":      {Type: 0x03},
		"wrapping":           {Type: mqttsn.Encapsulated},
		"protocol id 2":      {Type: mqttsn.Connect, ProtocolID: 2, Name: []byte("a")},
		"no topic name":      {Type: mqttsn.Register},
		"no filter":          {Type: mqttsn.Subscribe},
		"short name":         {Type: mqttsn.Publish, Flags: mqttsn.Flags{TopicIDType: mqttsn.Short}, Name: []byte("abc")},
		"topic id type 3":    {Type: mqttsn.Publish, Flags: mqttsn.Flags{TopicIDType: 3}},
		"topic id type 4":    {Type: mqttsn.Connect, ProtocolID: 1, Flags: mqttsn.Flags{TopicIDType: 4}, Name: []byte("a")},
		"topic id 0":         {Type: mqttsn.Publish},
		"topic id 65535":     {Type: mqttsn.Subscribe, Flags: mqttsn.Flags{TopicIDType: mqttsn.Predefined}, TopicID: 0xFFFF},
		"QoS 3":              {Type: mqttsn.Publish, TopicID: 1, Flags: mqttsn.Flags{QoS: 3}},
		"will with QoS -1":   {Type: mqttsn.WillTopic, Flags: mqttsn.Flags{QoS: -1}, Name: []byte("a")},
		"more than a packet": {Type: mqttsn.Publish, TopicID: 1, Data: make([]byte, 0xFFFF)},
	} {
		b, err := p.Append([]byte("before"))
		require.ErrorIs(t, err, mqttsn.ErrNotEncodable, name)
		require.Equal(t, "before", string(b), name)
	}
	for name, f := range map[string]mqttsn.Forward{
		"long node id": {NodeID: make([]byte, 253)},
		"no node id":   {},
		"radius 4":     {NodeID: []byte{1}, Radius: 4},
	} {
		b, err := f.Append([]byte("before"))
		require.ErrorIs(t, err, mqttsn.ErrNotEncodable, name)
		require.Equal(t, "before", string(b), name)
	}
}

func TestShortNameCannotGrowIntoTheDatagram(t *testing.T) {
	b := []byte{8, byte(mqttsn.Publish), 2, 'a', 'b', 0, 7, 'x'}
	p, err := mqttsn.Decode(b)
	require.NoError(t, err)
	_ = append(p.Name, "///"...)
	require.Equal(t, []byte{0, 7, 'x'}, b[5:])
}

func TestNothingIsAllocated(t *testing.T) {
	p := mqttsn.Packet{Type: mqttsn.Publish, Flags: mqttsn.Flags{QoS: 1}, TopicID: 1, MsgID: 2, Data: []byte("21.5")}
	b, err := p.Append(nil)
	require.NoError(t, err)
	buf := make([]byte, 0, 64)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		got, err := mqttsn.Decode(b)
		if err != nil || got.MsgID != 2 {
			t.Error("not decoded")
		}
		if _, err := got.Append(buf); err != nil {
			t.Error(err)
		}
	}))
}

func BenchmarkDecodePublish(b *testing.B) {
	p := mqttsn.Packet{Type: mqttsn.Publish, Flags: mqttsn.Flags{QoS: 1}, TopicID: 1, MsgID: 2, Data: make([]byte, 64)}
	raw, err := p.Append(nil)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mqttsn.Decode(raw); err != nil {
			b.Fatal(err)
		}
	}
}
