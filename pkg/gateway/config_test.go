package gateway

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/config"
)

func TestDecodeInstance(t *testing.T) {
	c := conf(t, `
greeting: "moin"
mountpoint: "iot/${username}/"
idle_timeout: "7s"
max_pending_bytes: 2MB
authorization: [{permission: allow, action: publish, topic: "up/${clientid}"}]
listener {
  tcp { bind: "127.0.0.1:1" }
  ws { b { bind: "127.0.0.1:3", enable: false }, a { bind: "2", mountpoint: "iot/ws/", websocket { supported_subprotocols: [x] } } }
}`)
	require.Equal(t, "moin", c.Greeting)
	require.Equal(t, 7*time.Second, c.IdleTimeout)
	require.EqualValues(t, 2<<20, c.MaxPendingSize)
	require.Equal(t, 256, c.MaxInflight, "a default")
	require.Equal(t, []api.Rule{{Permission: "allow", Action: "publish", Topic: "up/${clientid}"}}, c.rules())
	require.Equal(t, map[string]string{"tcp.default": "127.0.0.1:1", "ws.a": ":2"}, c.Binds())
	require.Equal(t, []string{"iot/${username}/", "iot/ws/"}, c.Mountpoints())
	require.Equal(t, []string{"x"}, c.Listener["ws"]["a"].WebSocket.Subprotocols)
	require.Equal(t, []string{"line.v1"}, c.Listener["ws"]["b"].WebSocket.Subprotocols, "of the kind")
	require.Equal(t, 1024, c.Listener["tcp"]["default"].MaxConnections)
	c.Enable = false
	require.Empty(t, c.Binds())
}

func TestDecodeErrors(t *testing.T) {
	for text, want := range map[string]string{
		`greting: "x"`:             "greting",
		`max_inflight: 0`:          "max_inflight: must be greater than 0",
		`max_deliver: -1`:          "max_deliver",
		`queue_window: "many"`:     "queue_window",
		`mountpoint: "iot/+/"`:     "mountpoint",
		`listener: 5`:              "must be listener.<type>.<name>",
		`listener.udp.x.bind: "1"`: "has no such transport",
		`listener.wss.x { bind: "1", ssl_options {certfile: c, keyfile: k} }`: "no such transport",
		`listener.tcp { "1x" { bind: "1" } }`:                                 "begins with a letter",
		`listener.tcp.x.bnd: 1`:                                               "bnd",
		`listener.tcp { bind: 1, bint: 2 }`:                                   "bint",
		`authorization: [{permission: perhaps}]`:                              "authorization[0]: permission",
		`authorization: [{permission: deny}]`:                                 "authorization[0]: action",
		rule("deny", "all", "a/#/b"):                                          "authorization[0]: wildcard",
		rule("deny", "all", "${a}/#") + "\nenable: 5":                         "enable",
	} {
		_, err := decode(text)
		require.ErrorContains(t, err, want, text)
	}
}

func rule(permission, action, topic string) string {
	return fmt.Sprintf("authorization: [{permission: %s, action: %s, topic: %q}]", permission, action, topic)
}

func TestNamed(t *testing.T) {
	for text, want := range map[string]bool{
		`default { enable: true }`:                       true,
		`meters { enable: true }, cars { enable: true }`: true,
		`enable: true`:                              false,
		`listener { tcp { bind: 1 } }`:              false, // a key of the instance
		`meters { enable: true }, mountpoint: "x/"`: false,
		``: false,
	} {
		n, err := config.Parse("t", []byte(text))
		require.NoError(t, err, text)
		require.Equal(t, want, lineKind().Named(n), text)
	}
}

func TestReasons(t *testing.T) {
	for err, want := range map[error][2]string{
		nil:                               {"normal", "normal"},
		ErrTakenOver:                      {"taken_over", "taken_over"},
		ErrKeepalive:                      {"keepalive", "keepalive"},
		fmt.Errorf("read: %w", ErrClosed): {"closed", "closed"},
		errors.New("secret"):              {"error", "internal error"},
		api.Errorf(api.TooLarge, "op", "frame 9"): {"error", "frame 9"},
	} {
		require.Equal(t, want, [2]string{reasonLabel(err), reasonText(err)})
	}
	require.Equal(t, "a=01b", headerText("a\x01b"))
	require.Equal(t, "plain ü", headerText("plain ü"))
}
