package conform

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/streams"
)

func metricsMoved(t *testing.T, s *stage) {
	r := s.room(t, s.house, nil)
	d := r.enter(t, 0, "a")
	subscribe(t, d, "t")
	body := strings.Repeat("x", 500)
	for range 10 {
		publish(t, d, "t", body)
		expect(t, d, body)
	}
	require.EqualValues(t, 1, r.metric("gw_clients"))
	require.EqualValues(t, 10, r.metric(`gw_messages_total{dir="in",result="ok"}`))
	await(t, "deliveries are not counted", func() bool { return r.metric(`gw_messages_total{dir="out",result="ok"}`) == 10 })
	for _, dir := range []string{"in", "out"} {
		n := r.metric(`gw_bytes_total{dir="` + dir + `"}`)
		require.Greaterf(t, n, 5000.0, "bytes %s", dir)
		require.Lessf(t, n, 20000.0, "bytes %s", dir)
	}
	require.EqualValues(t, 1, r.metric(`gw_connects_total{result="ok"}`))
	require.EqualValues(t, 1, r.metric(`gw_auth_seconds_count{result="ok"}`))
	info := r.clients(t)
	require.Len(t, info, 1)
	require.EqualValues(t, 10, info[0].Stats.RecvMsg)
	require.EqualValues(t, 10, info[0].Stats.SendMsg)
	require.NoError(t, d.Close(within(t)))
	await(t, "the client is still counted", func() bool {
		return r.metric("gw_clients") == 0 && r.metric("gw_connections") == 0
	})
	require.EqualValues(t, 1, r.metric(`gw_disconnects_total{reason="normal"}`))
}

// noSecret has passwords go every way that they can, and looks for them in all
// that is written down.
func noSecret(t *testing.T, s *stage) {
	h := s.house
	r := s.room(t, h, nil)
	right, wrong, lost := h.Secret(), h.Secret(), h.Secret()
	name := "secretive-" + r.Name
	h.User(t, name, right)
	await(t, "the user is not known", func() bool {
		_, err := r.dial(t, 0, Login{ClientID: "a", Username: name, Password: right})
		return err == nil
	})
	_, err := r.dial(t, 0, Login{ClientID: "b", Username: name, Password: wrong})
	refused(t, err)
	if s.Broken != nil {
		g := r.stranger(t, 0)
		_, err := g.Write(s.Broken(lost))
		require.NoError(t, err)
		require.NotContains(t, hangsUp(t, g), lost)
	}
	await(t, "no auth_denied event", func() bool { return len(r.events(t, "auth_denied", "b")) == 1 })
	require.NotEmpty(t, h.Log.Lines("level=DEBUG"), "the log has all levels")
	h.noSecretIn(t)
	looked := 0
	for _, stream := range []string{
		streams.Events, streams.Audit, "KV_" + streams.Users, "KV_" + streams.Clients, "KV_" + streams.Sessions, "KV_" + streams.Nodes,
	} {
		all, err := h.messages(within(t), stream, ">")
		require.NoError(t, err)
		looked += len(all)
		for _, m := range all {
			for _, secret := range []string{right, wrong, lost, h.password} {
				require.NotContains(t, string(m.Data), secret, stream)
				for _, values := range m.Header {
					require.NotContains(t, strings.Join(values, " "), secret, stream)
				}
			}
		}
	}
	require.Greater(t, looked, 5, "events, audit records and users")
}
