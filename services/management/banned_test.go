package management

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/streams"
)

func TestBans(t *testing.T) {
	h := open(t)
	put := func(b api.Ban) (api.Ban, error) { return call[api.Ban, api.Ban](t, h, "banned.put", b) }
	list := func(r ListBans) BanPage {
		p, err := call[ListBans, BanPage](t, h, "banned.list", r)
		require.NoError(t, err)
		return p
	}
	require.NotNil(t, list(ListBans{}).Data)
	b, err := put(api.Ban{As: "clientid", Who: "a b", Reason: "noise"})
	require.NoError(t, err)
	require.Equal(t, "cli", b.By)
	require.WithinDuration(t, time.Now(), b.At, time.Minute)
	b, err = put(api.Ban{As: "peerhost", Who: "::ffff:192.0.2.1"})
	require.NoError(t, err)
	require.Equal(t, "192.0.2.1", b.Who, "as the door sees it")
	_, err = put(api.Ban{As: "username", Who: "short", Until: time.Now().Add(1200 * time.Millisecond)})
	require.NoError(t, err)
	require.Equal(t, 3, list(ListBans{}).Count)
	first := list(ListBans{Limit: 1})
	require.Equal(t, "clientid."+"a=20b", first.Next)
	second := list(ListBans{Limit: 2, After: first.Next})
	require.Len(t, second.Data, 2)
	require.Empty(t, second.Next)

	kv, err := h.js.KeyValue(t.Context(), streams.Banned)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return list(ListBans{}).Count == 2 }, 5*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool {
		_, err := kv.Get(t.Context(), gateway.BanKey("username", "short"))
		return err != nil
	}, 5*time.Second, 50*time.Millisecond, "the record goes with the ban")

	ok, err := call[DeleteBan, bool](t, h, "banned.delete", DeleteBan{As: "peerhost", Who: "::ffff:192.0.2.1"})
	require.NoError(t, err)
	require.True(t, ok)
	_, err = call[DeleteBan, bool](t, h, "banned.delete", DeleteBan{As: "peerhost", Who: "192.0.2.1"})
	require.Equal(t, api.NotFound, api.KindOf(err))
	require.Equal(t, []string{"banned.put", "banned.put", "banned.put", "banned.delete"}, h.audited(t))
}

func TestBansRefuse(t *testing.T) {
	h := open(t)
	for name, b := range map[string]api.Ban{
		"as":       {As: "ip", Who: "x"},
		"nobody":   {As: "clientid"},
		"no ip":    {As: "peerhost", Who: "example.org"},
		"in past":  {As: "clientid", Who: "x", Until: time.Now().Add(-time.Second)},
		"too long": {As: "clientid", Who: string(make([]byte, 257))},
	} {
		_, err := call[api.Ban, api.Ban](t, h, "banned.put", b)
		require.Equal(t, api.Invalid, api.KindOf(err), "%s: %v", name, err)
	}
	require.NoError(t, h.js.DeleteStream(t.Context(), streams.Audit))
	_, err := call[api.Ban, api.Ban](t, h, "banned.put", api.Ban{As: "clientid", Who: "x"})
	require.Equal(t, api.Unavailable, api.KindOf(err), "what cannot be audited is not done")
	p, err := call[ListBans, BanPage](t, h, "banned.list", ListBans{})
	require.NoError(t, err)
	require.Zero(t, p.Count)
}
