package gateway

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/listen"
	"sluice/pkg/natsx"
)

// authn answers gw.svc.authn.check with what the test says.
type authn struct {
	mu     sync.Mutex
	asked  []api.AuthRequest
	answer func(context.Context, api.AuthRequest) (api.AuthResponse, error)
}

func (h *house) authn(answer func(context.Context, api.AuthRequest) (api.AuthResponse, error)) *authn {
	h.t.Helper()
	a := &authn{answer: answer}
	s, err := natsx.Serve(h.nc, "authn", "1.0.0", "of the test")
	require.NoError(h.t, err)
	h.t.Cleanup(func() { require.NoError(h.t, s.Stop()) })
	require.NoError(h.t, natsx.Handle(s, "check", func(ctx context.Context, r api.AuthRequest) (api.AuthResponse, error) {
		a.mu.Lock()
		a.asked = append(a.asked, r)
		a.mu.Unlock()
		return a.answer(ctx, r)
	}))
	require.NoError(h.t, h.nc.Flush())
	return a
}

func (a *authn) last() api.AuthRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[len(a.asked)-1]
}

func allow(r api.AuthResponse) func(context.Context, api.AuthRequest) (api.AuthResponse, error) {
	r.Allow = true
	return func(context.Context, api.AuthRequest) (api.AuthResponse, error) { return r, nil }
}

// enter connects through a listener with authentication.
func enter(t testing.TB, i *Instance, hello Hello) (*client, error) {
	t.Helper()
	if hello.Peer == "" {
		hello.Peer = "192.0.2.1:5000"
	}
	c, err := i.door(listen.Config{Type: "tcp", Name: "default"}).Connect(t.Context(), hello)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Close(nil) })
	return c.(*client), nil
}

func TestConnectAsksAuthn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.authn(allow(api.AuthResponse{Attrs: map[string]string{"tenant": "acme"}, Rules: []api.Rule{{Permission: "allow", Action: "publish", Topic: "up"}}}))
	i := h.instance(h.node("a"), "i", `mountpoint: "iot/${client_attrs.tenant}/${username}/"
allow_anonymous: true
clientinfo_override {clientid: "${username}-${cert_cn}", username: "${Packet.user}", password: "${clientid}"}`)
	c, err := enter(t, i, Hello{
		ClientID: "said", Username: "lies", Password: "p", CertCN: "cn", ProtoName: "LINE", ProtoVer: "2", Keepalive: time.Minute, Clean: true,
		Packet: func(name string) (string, bool) { return "bob", name == "user" },
	})
	require.NoError(t, err)
	r := a.last() // each template saw what the device said
	require.Equal(t, api.AuthRequest{
		ClientKey: api.ClientKey{Proto: "line", Instance: "i", Client: "lies-cn"}, Listener: "line:tcp:default", Peer: "192.0.2.1:5000",
		Username: "bob", Password: "said", CertCN: "cn", AllowAnonymous: true,
	}, r)
	info := c.Info()
	require.Equal(t, "iot/acme/bob/", info.Mountpoint)
	require.Equal(t, "lies-cn", info.Client)
	require.Equal(t, 60, info.Keepalive)
	require.True(t, info.Connected && info.CleanStart)
	require.NoError(t, c.Publish(t.Context(), Message{Topic: "up", Confirm: true}))
	require.NoError(t, next(t, c).Err)
	require.Equal(t, []string{""}, h.stored("GW_DATA", "iot.acme.bob.up"))
	wantKind(t, api.Denied, c.Publish(t.Context(), Message{Topic: "down"}))

	named, err := enter(t, h.instance(c.node, "j", ""), Hello{})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(named.Info().Client, "line-"), "the door gives a name")
	c.Close(nil)
	require.False(t, c.Info().Connected)
}

func TestConnectRefusals(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	i := h.instance(n, "i", `auth_timeout: "300ms"
default_user {login: "house", passcode: "key"}
authorization: [{permission: allow, action: all, topic: "${clientid}/#"}]`)
	denied, err := h.nc.SubscribeSync("gw.evt.line.i.auth_denied.>")
	require.NoError(t, err)
	require.NoError(t, h.nc.Flush())

	_, err = enter(t, i, Hello{ClientID: "c"})
	wantKind(t, api.Unavailable, err) // no service
	c, err := enter(t, i, Hello{ClientID: "c", Username: "house", Password: "key"})
	require.NoError(t, err, "needs no service")
	require.Equal(t, "house", c.Info().Username)
	_, err = enter(t, i, Hello{ClientID: "c", Username: "house", Password: "kez"})
	wantKind(t, api.Denied, err)
	m, err := denied.NextMsg(patience)
	require.NoError(t, err)
	require.Contains(t, string(m.Data), `"username":"house"`)
	require.NotContains(t, string(m.Data), "kez")
	_, err = enter(t, i, Hello{ClientID: strings.Repeat("x", maxClientID+1)})
	wantKind(t, api.Invalid, err)
	_, err = enter(t, i, Hello{ClientID: "+", Username: "house", Password: "key"})
	wantKind(t, api.Denied, err) // the rule would be for all

	h.authn(func(ctx context.Context, r api.AuthRequest) (api.AuthResponse, error) {
		switch r.Username {
		case "no":
			return api.AuthResponse{Reason: "bad_credentials"}, nil
		case "busy":
			return api.AuthResponse{}, api.Errorf(api.Busy, "check", "in a minute")
		case "slow":
			<-ctx.Done()
		}
		return api.AuthResponse{}, errors.New("secret of the service")
	})
	for user, kind := range map[string]api.Kind{"no": api.Denied, "busy": api.Busy, "slow": api.Unavailable, "broken": api.Unavailable} {
		_, err = enter(t, i, Hello{ClientID: "c", Username: user})
		wantKind(t, kind, err)
		require.NotContains(t, api.PeerText(err), "secret")
	}
}

func TestSuperuserHasNoRules(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.authn(allow(api.AuthResponse{Superuser: true}))
	i := h.instance(h.node("a"), "i", `authorization: [{permission: deny, action: all, topic: "#"}]`)
	c, err := enter(t, i, Hello{ClientID: "c"})
	require.NoError(t, err)
	require.NoError(t, c.Publish(t.Context(), Message{Topic: "x"}))
}

// TestMountpointValues: what could reach into the topics of others is refused.
func TestMountpointValues(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	h.authn(allow(api.AuthResponse{}))
	i := h.instance(n, "i", `mountpoint: "iot/${username}/"`)
	for _, user := range []string{"", "+", "#", "*", ">", "a/b", "a#", "../x", "a b", "a\x00", "\n"} {
		_, err := enter(t, i, Hello{ClientID: "c", Username: user})
		wantKind(t, api.Denied, err)
	}
	c, err := enter(t, i, Hello{ClientID: "c", Username: "a.b"})
	require.NoError(t, err)
	require.Equal(t, "iot/a.b/", c.Info().Mountpoint)

	own, no := "iot/own/", false
	d := i.door(listen.Config{Type: "ws", Name: "w", Mountpoint: &own, EnableAuthn: &no})
	got, err := d.Connect(t.Context(), Hello{ClientID: "d", Username: "+"})
	require.NoError(t, err)
	defer got.Close(nil)
	require.Equal(t, own, got.Info().Mountpoint)
	require.Equal(t, "line:ws:w", got.Info().Listener)
	v, ok := d.variable(Hello{Peer: "192.0.2.1:5"}, nil, "peerhost")
	require.True(t, ok)
	require.Equal(t, "192.0.2.1", v)
	v, _ = d.variable(Hello{}, nil, "instance")
	require.Equal(t, "i", v)
	_, ok = d.variable(Hello{}, nil, "Packet.x")
	require.False(t, ok)
}

func TestCredentialExpires(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.authn(allow(api.AuthResponse{ExpireAt: time.Now().Add(700 * time.Millisecond)}))
	i := h.instance(h.node("a"), "i", "")
	c, err := enter(t, i, Hello{ClientID: "c"})
	require.NoError(t, err)
	require.ErrorIs(t, kicked(t, c), ErrExpired)
	late, err := enter(t, i, Hello{ClientID: "d"})
	require.NoError(t, err)
	time.Sleep(time.Until(c.info.ConnectedAt.Add(800 * time.Millisecond)))
	require.ErrorIs(t, kicked(t, late), ErrExpired)
}
