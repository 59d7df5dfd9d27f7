package listen

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDatagramDefaultsAreValid(t *testing.T) {
	require.NoError(t, config(UDP).Validate())
	require.NoError(t, Config{Type: UDP, Bind: "1884"}.Validate(), "what is not given is the default")
	require.NoError(t, withPSK(t).Validate())
	require.NoError(t, Config{Type: DTLS, Bind: "1884", TLS: TLSConfig{PSKFile: "keys"}}.Validate())
	require.Equal(t, 1_000_000, Default(UDP).MaxConnections)
	require.Equal(t, 10_000, Default(DTLS).MaxConnections)
	c := Config{Type: UDP, Bind: "1884"}.normal()
	require.Equal(t, 2*time.Hour, c.PeerIdle)
	require.Equal(t, 1, c.UDP.Sockets)
	require.Equal(t, maxDatagram, c.UDP.MaxPacket)
	require.Zero(t, c.MaxPacketRate, "zero is no limit")
}

func TestValidateDatagrams(t *testing.T) {
	tcp, udp := func() Config { return config(TCP) }, func() Config { return config(UDP) }
	dtls := func() Config { return withPSK(t) }
	for key, tc := range map[string]struct {
		of    func() Config
		spoil func(*Config)
	}{
		"proxy_protocol: is not for udp":                   {udp, func(c *Config) { c.ProxyProtocol = true }},
		"proxy_protocol: is not for dtls":                  {dtls, func(c *Config) { c.ProxyProtocol = true }},
		"proxy_protocol_timeout: is not for udp":           {udp, func(c *Config) { c.ProxyProtocolTimeout = time.Second }},
		"tcp_options: is not for udp":                      {udp, func(c *Config) { c.TCP.KeepAlive = "none" }},
		"websocket: is not for dtls":                       {dtls, func(c *Config) { c.WebSocket.Path = "/coap" }},
		"ssl_options: is not for udp":                      {udp, func(c *Config) { c.TLS.PSKFile = "keys" }},
		"ssl_options.psk_file: is not for tcp":             {tcp, func(c *Config) { c.TLS.PSKFile = "keys" }},
		"udp_options: is not for tcp":                      {tcp, func(c *Config) { c.UDP.Sockets = 2 }},
		"max_packet_rate: is not for tcp":                  {tcp, func(c *Config) { c.MaxPacketRate = 1 }},
		"peer_idle_timeout: is not for tcp":                {tcp, func(c *Config) { c.PeerIdle = time.Minute }},
		"max_packet_rate: must be":                         {udp, func(c *Config) { c.MaxPacketRate = -1 }},
		"peer_idle_timeout: must be":                       {udp, func(c *Config) { c.PeerIdle = time.Millisecond }},
		"udp_options.sndbuf: must be":                      {udp, func(c *Config) { c.UDP.SendBuffer = -1 }},
		"udp_options.recbuf: must be":                      {udp, func(c *Config) { c.UDP.RecvBuffer = -1 }},
		"udp_options.max_packet: must be from 1 to 65535":  {udp, func(c *Config) { c.UDP.MaxPacket = 65536 }},
		"udp_options.sockets: must be from 1 to 64":        {udp, func(c *Config) { c.UDP.Sockets = 65 }},
		"dtls_options.certfile: certfile with keyfile, or": {dtls, func(c *Config) { c.TLS.PSKFile = "" }},
		"dtls_options.keyfile: certfile and keyfile go":    {dtls, func(c *Config) { c.TLS.CertFile = "cert" }},
		"dtls_options.min_version: dtls has 1.2 only":      {dtls, func(c *Config) { c.TLS.MinVersion = "1.3" }},
		"dtls_options.verify: \"maybe\"":                   {dtls, func(c *Config) { c.TLS.Verify = "maybe" }},
		"dtls_options.verify: verify_peer needs a certfil": {dtls, func(c *Config) { c.TLS.Verify, c.TLS.CAFile = VerifyPeer, "ca" }},
		"dtls_options.cacertfile: verify_peer needs":       {dtls, func(c *Config) { c.TLS.Verify = VerifyPeer }},
	} {
		c := tc.of()
		tc.spoil(&c)
		require.ErrorContains(t, c.Validate(), key)
	}
}
