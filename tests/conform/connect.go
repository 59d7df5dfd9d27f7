package conform

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
)

func connectOK(t *testing.T, s *stage) {
	r := s.room(t, s.house, nil)
	d := r.enter(t, 0, "a")
	o, epoch := r.owner(t, "a")
	require.Equal(t, "node-0", o.Node)
	require.NotZero(t, epoch)
	await(t, "no connected event", func() bool { return len(r.events(t, api.EventConnected, "a")) == 1 })
	e := r.events(t, api.EventConnected, "a")[0]
	require.Equal(t, "node-0", e.Node)
	require.Equal(t, user, e.Username)
	require.Equal(t, epoch, e.Epoch)
	require.NotEmpty(t, e.Peer)
	all := r.clients(t)
	require.Len(t, all, 1)
	require.Equal(t, r.key("a"), all[0].ClientKey)
	require.Equal(t, "iot/"+r.Name+"/", all[0].Mountpoint)
	require.Equal(t, user, all[0].Username)
	require.True(t, all[0].Connected)
	require.NoError(t, d.Close(within(t)))
	r.awaitGone(t, "a")
	require.Equal(t, epoch, r.awaitEnd(t, "a", "normal").Epoch)
	require.Empty(t, r.clients(t))
}

func connectDenied(t *testing.T, s *stage) {
	r := s.room(t, s.house, nil)
	for _, l := range []Login{
		{ClientID: "a", Username: user, Password: r.Secret()},
		{ClientID: "a", Username: "nobody", Password: r.Secret()},
		{ClientID: "a"},
	} {
		_, err := r.dial(t, 0, l)
		require.Falsef(t, refused(t, err).Later, "%q: trying later will not help", l.Username)
	}
	r.nothingOf(t, "a")
	await(t, "no auth_denied event", func() bool { return len(r.events(t, api.EventAuthDenied, "a")) == 3 })
	require.EqualValues(t, 3, r.metric(`gw_connects_total{result="denied"}`))
	require.Zero(t, r.metric(`gw_connects_total{result="ok"}`))
	r.enter(t, 0, "a")
}

// nothingOf checks that the house does not know a client and never did.
func (r *Room) nothingOf(t *testing.T, client string) {
	t.Helper()
	_, epoch := r.owner(t, client)
	require.Zero(t, epoch)
	require.Empty(t, r.clients(t))
	require.Empty(t, r.events(t, api.EventConnected, client))
}

func connectTimeout(t *testing.T, s *stage) {
	r := s.room(t, s.house, keys{"idle_timeout": `"1s"`})
	begin := time.Now()
	g := r.stranger(t, 0)
	hangsUp(t, g)
	require.GreaterOrEqual(t, time.Since(begin), 900*time.Millisecond)
	await(t, "the connection is still counted", func() bool { return r.metric("gw_connections") == 0 })
	require.Empty(t, r.clients(t))
}

// hangsUp reads until the server closes, and returns what it said.
func hangsUp(t *testing.T, g *Gate) string {
	t.Helper()
	said, err := io.ReadAll(g)
	var late net.Error
	require.Falsef(t, errors.As(err, &late) && late.Timeout(), "the connection is not closed; it said %q", said)
	return string(said)
}

func authnAway(t *testing.T, s *stage) {
	h := NewHouse(t, "authn")
	r := s.room(t, h, nil)
	_, err := r.dial(t, 0, r.login("a"))
	require.True(t, refused(t, err).Later, "the device may try later: %v", err)
	r.nothingOf(t, "a")
	h.StartService(t, "authn")
	d := r.enter(t, 0, "a")
	publish(t, d, "t", "in")
	require.Equal(t, []string{"in"}, r.payloads(t, r.subject("t")))
}

func earlyPublish(t *testing.T, s *stage) {
	r := s.room(t, s.house, keys{"allow_anonymous": "true", "idle_timeout": `"2s"`})
	g := r.stranger(t, 0)
	_, err := g.Write(s.EarlyPublish("t", "too early"))
	require.NoError(t, err)
	if s.Can.Connection {
		hangsUp(t, g)
	}
	publish(t, r.enter(t, 0, "a"), "t", "in time") // the same node has taken it after the other
	require.Equal(t, []string{"in time"}, r.payloads(t, r.subject("t")))
	r.unharmed(t)
}

func earlySubscribe(t *testing.T, s *stage) {
	r := s.room(t, s.house, keys{"allow_anonymous": "true", "idle_timeout": `"2s"`})
	g := r.stranger(t, 0)
	_, err := g.Write(s.EarlySubscribe("t"))
	require.NoError(t, err)
	d := r.enter(t, 0, "a")
	subscribe(t, d, "t")
	publish(t, d, "t", "not for strangers")
	expect(t, d, "not for strangers")
	if !s.Can.Connection {
		require.NoError(t, g.SetDeadline(time.Now().Add(time.Second)))
	}
	said, _ := io.ReadAll(g) // until it is closed, or the deadline
	require.NotContains(t, string(said), "not for strangers")
	require.Len(t, r.clients(t), 1)
	r.unharmed(t)
}

func secondConnect(t *testing.T, s *stage) {
	r := s.room(t, s.house, nil)
	d := r.enter(t, 0, "a")
	require.NoError(t, s.Again(d))
	ended(t, d)
	r.awaitEnd(t, "a", "protocol")
	r.awaitGone(t, "a")
}
