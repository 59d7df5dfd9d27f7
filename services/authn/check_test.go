package authn

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/streams"
	"sluice/tests/logs"
)

func TestRules(t *testing.T) {
	rules := []api.Rule{{Permission: "deny", Action: "publish", Topic: "x/#"}}
	h := open(t, func(h *house) {
		h.store(t, UserKey(Global, "ann"), api.User{UserID: "ann", Hash: cheap("global"), Superuser: true, Rules: rules})
		h.store(t, UserKey(Scope("stomp", "default"), "bob"), api.User{UserID: "bob", Hash: cheap("local")})
		h.store(t, UserKey(Global, "bob"), api.User{UserID: "bob", Hash: cheap("global")})
		h.store(t, UserKey(Scope("mqttsn", "default"), "eve"), api.User{UserID: "eve", Hash: cheap("eve")})
		h.store(t, UserKey(Global, "bad"), api.User{UserID: "bad", Hash: "plain"})
		h.store(t, UserKey(Global, "a.b >"), api.User{UserID: "a.b >", Hash: cheap("dots")})
	})
	welcomed := api.AuthResponse{Allow: true}
	wrong := api.AuthResponse{Reason: BadCredentials}
	unknown := api.AuthResponse{Reason: NotAuthorized}
	for _, c := range []struct {
		name, user, pw string
		anonymous      bool
		want           api.AuthResponse
	}{
		{"no user", "", "", false, unknown},
		{"no user, anonymous", "", "", true, welcomed},
		{"no user but a password", "", "x", true, welcomed},
		{"unknown", "zoe", "x", false, unknown},
		{"unknown, anonymous", "zoe", "x", true, welcomed},
		{"right", "ann", "global", false, api.AuthResponse{Allow: true, Superuser: true, Rules: rules}},
		{"wrong", "ann", "x", false, wrong},
		{"wrong, anonymous", "ann", "x", true, wrong},
		{"empty password", "ann", "", true, wrong},
		{"instance before global", "bob", "local", false, welcomed},
		{"global hidden by instance", "bob", "global", true, wrong},
		{"other instance's user", "eve", "eve", false, unknown},
		{"unusable hash", "bad", "plain", true, wrong},
		{"any text as a user", "a.b >", "dots", false, welcomed},
	} {
		for range 2 { // the second time from what is remembered
			got, err := h.ask(t, request(c.user, c.pw, c.anonymous))
			require.NoError(t, err, c.name)
			require.Equal(t, c.want, got, c.name)
		}
	}
	require.Contains(t, h.log.String(), "no usable password hash")
}

func TestChangedUserIsNotRemembered(t *testing.T) {
	h := open(t)
	other := h.start(t) // a second instance in the queue group
	put := func(pw string) {
		_, err := call[PutUser, UserInfo](t, h, "user.put", PutUser{UserID: "ann", Password: api.Password(pw)})
		require.NoError(t, err)
	}
	allowed := func(pw string) bool {
		for _, s := range []*Service{h.Service, other} {
			got, err := s.check(t.Context(), request("ann", pw, false))
			if err != nil || !got.Allow {
				return false
			}
		}
		return true
	}
	put("one")
	require.Eventually(t, func() bool { return allowed("one") }, 5*time.Second, 10*time.Millisecond)
	require.True(t, allowed("one"), "remembered")
	put("two")
	require.Eventually(t, func() bool { return !allowed("one") && allowed("two") }, 5*time.Second, 10*time.Millisecond)
	require.False(t, allowed("one"))
	put("one") // the first password again: a new revision, so checked anew
	require.Eventually(t, func() bool { return allowed("one") }, 5*time.Second, 10*time.Millisecond)
	_, err := call[DeleteUser, bool](t, h, "user.delete", DeleteUser{UserID: "ann"})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !allowed("one") }, 5*time.Second, 10*time.Millisecond)
}

// An unknown user is checked against a hash of the same price.
func TestUnknownUserCostsTheSame(t *testing.T) {
	hash, err := HashPassword("right")
	require.NoError(t, err)
	h := open(t, func(h *house) { h.store(t, UserKey(Global, "ann"), api.User{UserID: "ann", Hash: hash}) })
	least := func(user string) time.Duration {
		best := time.Hour
		for range 5 {
			start := time.Now()
			_, err := h.check(t.Context(), request(user, "wrong", false))
			require.NoError(t, err)
			best = min(best, time.Since(start))
		}
		return best
	}
	known, unknown := least("ann"), least("zoe")
	t.Logf("known %s, unknown %s", known, unknown)
	require.Greater(t, unknown, known/2)
	require.Less(t, unknown, known*2)
}

func TestFailuresAreLimitedByAddress(t *testing.T) {
	h := open(t, func(h *house) { h.store(t, UserKey(Global, "ann"), api.User{UserID: "ann", Hash: cheap("right")}) })
	_, err := h.ask(t, request("ann", "right", false)) // remembered from here on
	require.NoError(t, err)
	busy := 0
	for range failureBurst + 20 {
		if _, err := h.ask(t, request("ann", "wrong", false)); err != nil {
			require.Equal(t, api.Busy, api.KindOf(err))
			busy++
		}
	}
	require.Positive(t, busy)
	got, err := h.ask(t, request("ann", "right", false))
	require.NoError(t, err, "a user who is in goes on")
	require.True(t, got.Allow)
	elsewhere := request("ann", "wrong", false)
	elsewhere.Peer = "[2001:db8::1]:1"
	got, err = h.ask(t, elsewhere)
	require.NoError(t, err)
	require.Equal(t, BadCredentials, got.Reason)
}

func TestOverloadIsBusy(t *testing.T) {
	h := open(t, func(h *house) { h.store(t, UserKey(Global, "ann"), api.User{UserID: "ann", Hash: cheap("right")}) })
	for range runtime.GOMAXPROCS(0) {
		h.turns <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := h.check(ctx, request("ann", "right", false))
	require.Equal(t, api.Busy, api.KindOf(err))
	_, err = h.check(ctx, request("ann", "right", false)) // ctx is over already
	require.Equal(t, api.Busy, api.KindOf(err))
	got, err := h.check(ctx, request("", "", true))
	require.NoError(t, err, "what costs nothing is not held up")
	require.True(t, got.Allow)
	for range runtime.GOMAXPROCS(0) {
		<-h.turns
	}
}

// Many devices with one user cost few computations.
func TestStormOfOneUser(t *testing.T) {
	hash, err := HashPassword("right")
	require.NoError(t, err)
	h := open(t, func(h *house) { h.store(t, UserKey(Global, "fleet"), api.User{UserID: "fleet", Hash: hash}) })
	start := time.Now()
	var wg sync.WaitGroup
	for range 500 {
		wg.Go(func() {
			got, err := natsx.Call[api.AuthRequest, api.AuthResponse](t.Context(), h.nc, streams.ServiceSubject("authn", "check"), request("fleet", "right", false))
			if err != nil || !got.Allow {
				t.Error(got, err)
			}
		})
	}
	wg.Wait()
	t.Logf("500 checks in %s", time.Since(start))
	require.Less(t, time.Since(start), 4*time.Second)
}

func TestEndsBeforeReady(t *testing.T) {
	srv, err := natsx.Start(natsx.Embedded{Dir: t.TempDir(), Port: -1})
	require.NoError(t, err)
	defer srv.Shutdown()
	h := &house{log: &logs.Buffer{}, nc: dial(t, srv)}
	h.js = mustJS(t, h.nc)
	s, err := New(Deps{NC: h.nc, JS: h.js})
	require.NoError(t, err)
	require.ErrorContains(t, s.Run(t.Context()), streams.Users, "the bucket does not exist")
	require.ErrorContains(t, s.Ready(t.Context()), streams.Users)
}
