package conform

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"sluice/streams"
)

func storedFirst(t *testing.T, s *stage) {
	r := s.room(t, s.house, nil)
	d := r.enter(t, 0, "a")
	stream, err := r.js.Stream(within(t), streams.Data)
	require.NoError(t, err)
	for _, body := range numbers("m", 30) {
		publish(t, d, "x/y", body)
		m, err := stream.GetLastMsgForSubject(within(t), r.subject("x/y")) // at once: no waiting
		require.NoErrorf(t, err, "%s is confirmed and not stored", body)
		require.Equal(t, body, string(m.Data))
		require.Equal(t, "a", m.Header.Get(streams.HdrClient))
		require.Equal(t, user, m.Header.Get(streams.HdrUser))
		require.Equal(t, s.Kind.Proto, m.Header.Get(streams.HdrProto))
		require.Equal(t, r.Name, m.Header.Get(streams.HdrInstance))
		require.NotEmpty(t, m.Header.Get(streams.HdrTs))
	}
	require.Equal(t, numbers("m", 30), r.payloads(t, r.subject("x/y")))
}

// acrossNodes has devices of both nodes and an application meet.
func acrossNodes(t *testing.T, s *stage) {
	r := s.room(t, s.house, nil)
	here, there := r.enter(t, 0, "here"), r.enter(t, 1, "there")
	filter := "t/x"
	if s.Can.Wildcards {
		filter = "t/+"
	}
	subscribe(t, here, filter)
	subscribe(t, there, filter)
	publish(t, here, "t/x", numbers("h", 20)...)
	for _, d := range []Device{here, there} {
		require.Equal(t, "t/x", expect(t, d, numbers("h", 20)...)[0].Topic)
	}
	publish(t, there, "t/x", "th")
	_, err := r.js.PublishMsg(within(t), &nats.Msg{Subject: r.subject("t/x"), Data: []byte("app")})
	require.NoError(t, err)
	for _, d := range []Device{here, there} {
		expect(t, d, "th", "app")
	}
	publish(t, here, "other/x", "not asked for")
	quiet(t, there)
}
