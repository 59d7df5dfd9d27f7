package gateway

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

func (h *house) ban(as, who string, until time.Time) {
	h.t.Helper()
	_, err := h.bans().Put(h.t.Context(), BanKey(as, who), encoded(h.t, api.Ban{As: as, Who: who, Until: until}))
	require.NoError(h.t, err)
}

func (h *house) bans() jetstream.KeyValue {
	h.t.Helper()
	kv, err := h.js.KeyValue(h.t.Context(), streams.Banned)
	require.NoError(h.t, err)
	return kv
}

func TestBans(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.authn(allow(api.AuthResponse{}))
	h.ban("clientid", "bad one", time.Time{}) // is there before the node
	h.ban("username", "eve", time.Now().Add(time.Hour))
	h.ban("username", "past", time.Now().Add(-time.Second))
	n := h.node("a")
	i := h.instance(n, "i", "")
	for _, hello := range []Hello{{ClientID: "bad one"}, {ClientID: "x", Username: "eve"}} {
		_, err := enter(t, i, hello)
		wantKind(t, api.Denied, err)
		require.ErrorIs(t, err, ErrBanned)
	}
	byHost, err := enter(t, i, Hello{ClientID: "h", Username: "past", Peer: "[2001:db8::1]:99"})
	require.NoError(t, err)
	byUser, err := enter(t, i, Hello{ClientID: "u", Username: "mallory"})
	require.NoError(t, err)
	other, err := enter(t, i, Hello{ClientID: "o"})
	require.NoError(t, err)

	h.ban("peerhost", "2001:db8::1", time.Time{})
	require.ErrorIs(t, kicked(t, byHost), ErrBanned)
	h.ban("username", "mallory", time.Time{})
	require.ErrorIs(t, kicked(t, byUser), ErrBanned)
	require.Empty(t, other.kicked)

	require.NoError(t, h.bans().Delete(t.Context(), BanKey("clientid", "bad one")))
	require.Eventually(t, func() bool { return !n.bans.banned("bad one", "", "") }, patience, time.Millisecond)
	h.ban("clientid", "brief", time.Now().Add(300*time.Millisecond))
	require.Eventually(t, func() bool { return n.bans.banned("brief", "", "") }, 250*time.Millisecond, time.Millisecond)
	require.Eventually(t, func() bool { return !n.bans.banned("brief", "", "") }, patience, time.Millisecond)
	_, err = h.bans().Put(t.Context(), BanKey("username", "eve"), []byte("junk"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !n.bans.banned("", "eve", "") }, patience, time.Millisecond)
	require.False(t, n.bans.banned("", "", ""), "an empty name is nobody's")
}

// TestBanDuringConnect: it comes while authn is asked.
func TestBanDuringConnect(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	h.authn(func(ctx context.Context, r api.AuthRequest) (api.AuthResponse, error) {
		h.ban("clientid", r.Client, time.Time{})
		for ctx.Err() == nil && !n.bans.banned(r.Client, "", "") {
			time.Sleep(time.Millisecond)
		}
		return api.AuthResponse{Allow: true}, nil
	})
	c, err := enter(t, h.instance(n, "i", ""), Hello{ClientID: "c"})
	require.NoError(t, err)
	require.ErrorIs(t, kicked(t, c), ErrBanned)
}
