package conform

import (
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/services/management"
)

func kick(t *testing.T, s *stage) {
	r := s.room(t, s.house, nil)
	d := r.enter(t, 1, "a")
	other := r.enter(t, 1, "b")
	out, err := call[management.Kicked](t, r.House, "mgmt", "clients.kick", api.KickRequest{Gateway: r.gateway(), Client: "a"})
	require.NoError(t, err)
	require.Equal(t, []api.ClientKey{r.key("a")}, out.Kicked)
	if s.Can.Connection {
		ended(t, d)
	}
	if s.Can.Farewell {
		refused(t, d.Err())
	}
	r.awaitEnd(t, "a", "kicked")
	r.awaitGone(t, "a")
	_, err = call[management.Kicked](t, r.House, "mgmt", "clients.kick", api.KickRequest{Gateway: r.gateway(), Client: "a"})
	require.Equal(t, api.NotFound, api.KindOf(err))
	publish(t, other, "t", "stays")
	publish(t, r.enter(t, 0, "a"), "t", "may come again")
}

func ban(t *testing.T, s *stage) {
	r := s.room(t, s.house, nil)
	id := "bad-" + r.Name // bans are for all instances
	d, other := r.enter(t, 0, id), r.enter(t, 0, "good")
	b := api.Ban{As: "clientid", Who: id, Reason: "conform"}
	_, err := call[api.Ban](t, r.House, "mgmt", "banned.put", b)
	require.NoError(t, err)
	if s.Can.Connection {
		ended(t, d)
	}
	if s.Can.Farewell {
		require.False(t, refused(t, d.Err()).Later)
	}
	r.awaitEnd(t, id, "banned")
	r.awaitGone(t, id)
	_, err = r.dial(t, 0, r.login(id))
	require.False(t, refused(t, err).Later)
	await(t, "the other node does not know the ban", func() bool {
		d, err := r.stage.Dial(within(t), r.addr[1], r.login(id))
		if err == nil {
			d.Cut()
		}
		return err != nil
	})
	r.awaitGone(t, id)
	publish(t, other, "t", "stays")
	_, err = call[bool](t, r.House, "mgmt", "banned.delete", management.DeleteBan{As: b.As, Who: b.Who})
	require.NoError(t, err)
	await(t, "the ban is not lifted", func() bool {
		d, err := r.dial(t, 0, r.login(id))
		return err == nil && d.Publish(within(t), Publication{Topic: "t", Payload: "back"}) == nil
	})
	require.Equal(t, []string{"stays", "back"}, r.payloads(t, r.subject(">")))
}
