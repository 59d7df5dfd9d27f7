package listen

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDefaultsAreValid(t *testing.T) {
	for _, typ := range []string{"", TCP, WS} {
		c := Default(typ)
		require.Error(t, c.Validate(), "no bind")
		c.Bind = "127.0.0.1:61613"
		require.NoError(t, c.Validate())
	}
	require.NoError(t, Config{Bind: "61613"}.Validate(), "what is not given is the default")
}

func TestZeroMeansDefault(t *testing.T) {
	c := Config{Type: "ssl", Bind: "61613"}.normal()
	require.Equal(t, TLS, c.Type)
	require.Equal(t, ":61613", c.Bind)
	d := Default(TLS)
	require.Equal(t, d.MaxConnections, c.MaxConnections)
	require.Equal(t, d.HandshakeTimeout, c.HandshakeTimeout)
	require.Equal(t, d.WebSocket.MaxFrameSize, c.WebSocket.MaxFrameSize)
}

func TestValidateNamesTheKey(t *testing.T) {
	for key, spoil := range map[string]func(*Config){
		"type":                               func(c *Config) { c.Type = "quic" },
		"bind":                               func(c *Config) { c.Bind = "127.0.0.1:no" },
		"max_connections":                    func(c *Config) { c.MaxConnections = -1 },
		"max_conn_rate":                      func(c *Config) { c.MaxConnRate = -1 },
		"proxy_protocol_timeout":             func(c *Config) { c.ProxyProtocolTimeout = -time.Second },
		"handshake_timeout":                  func(c *Config) { c.HandshakeTimeout = 48 * time.Hour },
		"access_rules":                       func(c *Config) { c.AccessRules = []string{"permit all"} },
		"tcp_options.sndbuf":                 func(c *Config) { c.TCP.SendBuffer = -1 },
		"tcp_options.recbuf":                 func(c *Config) { c.TCP.RecvBuffer = -1 },
		"tcp_options.keepalive":              func(c *Config) { c.TCP.KeepAlive = "30,30" },
		"ssl_options.verify":                 func(c *Config) { c.TLS.Verify = "maybe" },
		"ssl_options.cacertfile":             func(c *Config) { c.TLS.Verify = VerifyPeer },
		"ssl_options.fail_if_no_peer_cert":   func(c *Config) { c.TLS.FailIfNoPeerCert = true },
		"ssl_options.min_version":            func(c *Config) { c.TLS.MinVersion = "1.1" },
		"ssl_options.certfile":               func(c *Config) { c.Type = WSS },
		"ssl_options.keyfile":                func(c *Config) { c.Type = "ssl" },
		"websocket.path":                     func(c *Config) { c.WebSocket.Path = "stomp" },
		"websocket.max_frame_size":           func(c *Config) { c.WebSocket.MaxFrameSize = 10 },
		"websocket.message_type":             func(c *Config) { c.WebSocket.MessageType = "json" },
		"websocket.fail_if_no_subprotocol":   func(c *Config) { c.WebSocket.FailIfNoSubprotocol = true },
		"websocket.check_origins":            func(c *Config) { c.WebSocket.CheckOrigin = true },
		"websocket.check_origins[0]: \"here": func(c *Config) { c.WebSocket.Origins = []string{"here"} },
	} {
		c := config(TCP)
		spoil(&c)
		require.ErrorContains(t, c.Validate(), key)
		_, err := Open(c, nil, nil)
		require.ErrorContains(t, err, key)
	}
}

func TestOpenNeedsAType(t *testing.T) {
	_, err := Open(config(""), nil, nil)
	require.ErrorContains(t, err, "type")
}

func TestPortConflictShowsAtOpen(t *testing.T) {
	l, err := Open(config(TCP), nil, nil)
	require.NoError(t, err)
	c := config(TCP)
	c.Bind = l.Addr().String()
	_, err = Open(c, nil, nil)
	require.ErrorContains(t, err, "bind")
	require.NoError(t, l.Close())
	require.NoError(t, l.Close(), "again")
}

func TestKeepAlive(t *testing.T) {
	k, err := parseKeepAlive("30, 20,3")
	require.NoError(t, err)
	require.Equal(t, net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 20 * time.Second, Count: 3}, k)
	k, err = parseKeepAlive("none")
	require.NoError(t, err)
	require.False(t, k.Enable)
	for _, bad := range []string{"", "1", "1,2", "1,2,3,4", "a,b,c", "0,1,1", "1,1,128", "40000,1,1"} {
		_, err := parseKeepAlive(bad)
		require.Error(t, err, bad)
	}
}

func TestAccessRulesFirstMatchDecides(t *testing.T) {
	for _, tc := range []struct {
		rules []string
		addr  string
		want  bool
	}{
		{nil, "10.0.0.1", true},
		{[]string{"deny all"}, "10.0.0.1", false},
		{[]string{"deny 192.168.1.1", "allow 192.168.1.0/24", "deny all"}, "192.168.1.1", false},
		{[]string{"deny 192.168.1.1", "allow 192.168.1.0/24", "deny all"}, "192.168.1.2", true},
		{[]string{"deny 192.168.1.1", "allow 192.168.1.0/24", "deny all"}, "192.168.2.1", false},
		{[]string{"allow 192.168.1.0/24", "deny 192.168.1.1"}, "192.168.1.1", true},
		{[]string{"deny 192.168.1.77/24"}, "192.168.1.1", false},
		{[]string{"deny 10.0.0.0/8"}, "192.168.1.1", true},
		{[]string{"deny 10.0.0.0/8"}, "::ffff:10.1.1.1", false},
		{[]string{"deny ::ffff:10.1.1.1"}, "10.1.1.1", false},
		{[]string{"deny fe80::/10"}, "fe80::1%eth0", false},
		{[]string{"deny 2001:db8::1"}, "2001:db8::1", false},
		{[]string{"allow 10.0.0.1", "deny all"}, "2001:db8::1", false},
	} {
		rs, err := parseRules(tc.rules)
		require.NoError(t, err)
		require.Equal(t, tc.want, rs.allows(netip.MustParseAddr(tc.addr)), "%v %s", tc.rules, tc.addr)
	}
	rs, err := parseRules([]string{"allow 0.0.0.0/0", "deny all"})
	require.NoError(t, err)
	require.False(t, rs.allows(netip.Addr{}), "an address that is not known")
}

func TestAccessRulesMalformed(t *testing.T) {
	for _, bad := range []string{"", "allow", "allow all now", "Allow all", "deny 10.0.0", "deny 10.0.0.0/33", "deny ::ffff:10.0.0.0/104", "deny host"} {
		_, err := parseRules([]string{"allow all", bad})
		require.ErrorContains(t, err, "[1]", bad)
	}
}
