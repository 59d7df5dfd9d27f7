package listen

import (
	"strings"
	"time"
)

// Types of listeners.
const (
	TCP = "tcp"
	TLS = "tls"
	WS  = "ws"
	WSS = "wss"

	UDP  = "udp"
	DTLS = "dtls"
)

// Config is one listener. [Default] has the defaults; where zero makes no sense
// for a number, a duration or a word, it means the default too, so that nothing
// is unlimited because somebody forgot it.
type Config struct {
	Type string `conf:"-"` // tcp, tls (or ssl), ws, wss, udp, dtls
	Name string `conf:"-"`

	Bind                 string        `conf:"bind,listen_on" doc:"address:port, or only a port for all interfaces; port 0 takes a free one"`
	Enable               bool          `conf:"enable" doc:"false: known, but not started"`
	MaxConnections       int           `conf:"max_connections" doc:"open connections, with those in a handshake; more are reset at once. udp: addresses remembered"`
	MaxConnRate          int           `conf:"max_conn_rate" doc:"new connections, or addresses, a second; more are reset at once"`
	MaxPacketRate        int           `conf:"max_packet_rate" doc:"udp and dtls: datagrams a second from one IP address (IPv6: one /64), more are dropped; 0 = no limit"`
	PeerIdle             time.Duration `conf:"peer_idle_timeout" doc:"udp and dtls: a peer that was silent for so long is forgotten; protocols end devices earlier"`
	AccessRules          []string      `conf:"access_rules" doc:"\"allow|deny <ip>|<cidr>|all\"; the first that matches decides, none = allow"`
	ProxyProtocol        bool          `conf:"proxy_protocol" doc:"require a PROXY header, v1 or v2; only behind a proxy that nobody can go around"`
	ProxyProtocolTimeout time.Duration `conf:"proxy_protocol_timeout" doc:"the PROXY header must be complete within this time"`
	HandshakeTimeout     time.Duration `conf:"handshake_timeout" doc:"TLS handshake and WebSocket upgrade together"`
	TLS                  TLSConfig     `conf:"ssl_options,dtls_options" doc:"tls, wss and dtls"`
	TCP                  TCPConfig     `conf:"tcp_options"`
	UDP                  UDPConfig     `conf:"udp_options"`
	WebSocket            WSConfig      `conf:"websocket" doc:"ws and wss"`

	// For the gateway, which finds them here.

	Mountpoint  *string `conf:"mountpoint" doc:"instead of the instance's mountpoint"`
	EnableAuthn *bool   `conf:"enable_authn" doc:"false: let everybody in without asking who it is"`
}

// TLSConfig is how a tls, wss or dtls listener proves who it is and asks who calls.
type TLSConfig struct {
	CertFile         string `conf:"certfile" doc:"PEM file: certificate and its chain"`
	KeyFile          string `conf:"keyfile" doc:"PEM file: private key"`
	CAFile           string `conf:"cacertfile" doc:"PEM file: authorities of client certificates"`
	Verify           string `conf:"verify" doc:"verify_none, or verify_peer to check client certificates"`
	FailIfNoPeerCert bool   `conf:"fail_if_no_peer_cert" doc:"verify_peer: refuse a client without certificate"`
	MinVersion       string `conf:"min_version" doc:"1.2 or 1.3; dtls has 1.2 only"`
	PSKFile          string `conf:"psk_file" doc:"dtls: pre-shared keys, a line \"identity:key in hex\" each"`
	ConnectionID     bool   `conf:"connection_id" doc:"dtls: devices keep their association when their address changes (RFC 9146)"`
}

// UDPConfig are the sockets of udp and dtls. There is no batch size: reading and
// writing in batches was measured to gain nothing (see udp.go).
type UDPConfig struct {
	SendBuffer int `conf:"sndbuf" doc:"bytes in the kernel; 0 = as it likes"`
	RecvBuffer int `conf:"recbuf" doc:"bytes in the kernel; 0 = as it likes"`
	MaxPacket  int `conf:"max_packet,buffer" doc:"bytes of a datagram, longer ones are dropped; dtls takes 8192 at most"`
	Sockets    int `conf:"sockets" doc:"sockets with a reading goroutine each (SO_REUSEPORT); 1 serves two cores"`
}

// TCPConfig are options of the socket.
type TCPConfig struct {
	NoDelay    bool   `conf:"nodelay" doc:"send small frames at once"`
	KeepAlive  string `conf:"keepalive" doc:"\"idle,interval,probes\" in seconds, or none"`
	SendBuffer int    `conf:"sndbuf" doc:"bytes in the kernel; 0 = as it likes"`
	RecvBuffer int    `conf:"recbuf" doc:"bytes in the kernel; 0 = as it likes"`
}

// WSConfig is the WebSocket side of a ws or wss listener.
type WSConfig struct {
	Path                string   `conf:"path" doc:"of the URL; /x/* also takes everything below /x"`
	Subprotocols        []string `conf:"supported_subprotocols" doc:"the first of the client's that is among them is taken; none = any client"`
	FailIfNoSubprotocol bool     `conf:"fail_if_no_subprotocol" doc:"refuse a client that asks for no subprotocol"`
	CheckOrigin         bool     `conf:"check_origin_enable" doc:"refuse browsers from pages that check_origins does not name"`
	AllowOriginAbsence  bool     `conf:"allow_origin_absence" doc:"with check_origin_enable: let those in that send no Origin (devices, not browsers)"`
	Origins             []string `conf:"check_origins" doc:"such as https://app.example.com"`
	MaxFrameSize        int      `conf:"max_frame_size" doc:"bytes of one message"`
	MessageType         string   `conf:"message_type" doc:"of what is sent: text, binary, or auto (text if it is UTF-8)"`
}

// Values of WSConfig.MessageType.
const (
	MessageAuto   = "auto"
	MessageText   = "text"
	MessageBinary = "binary"
)

// Values of TLSConfig.Verify.
const (
	VerifyNone = "verify_none"
	VerifyPeer = "verify_peer"
)

// Default is a listener's configuration without a bind.
func Default(typ string) Config {
	c := Config{
		Type: typ, Enable: true,
		MaxConnections: 1024, MaxConnRate: 1000,
		ProxyProtocolTimeout: 3 * time.Second, HandshakeTimeout: 15 * time.Second,
		TLS: TLSConfig{Verify: VerifyNone, MinVersion: "1.2", ConnectionID: true},
		// Many devices can be behind one address, so the rate is that of a flood.
		MaxPacketRate: 50_000, PeerIdle: 2 * time.Hour,
		// A burst waits in the kernel: its own default is some 250 small datagrams.
		UDP: UDPConfig{RecvBuffer: 4 << 20, MaxPacket: maxDatagram, Sockets: 1},
		// A peer that vanished without a word is found in 7.5 minutes, where the
		// protocol has no heart-beat of its own.
		TCP: TCPConfig{NoDelay: true, KeepAlive: "300,30,5"},
		// Messages are not gathered in memory, so a large one costs nothing here.
		WebSocket: WSConfig{Path: "/", AllowOriginAbsence: true, MaxFrameSize: 1 << 20, MessageType: MessageAuto},
	}
	switch typ {
	case UDP: // an address costs less than a connection
		c.MaxConnections, c.MaxConnRate = 1_000_000, 20_000
	case DTLS:
		c.MaxConnections = 10_000
	}
	return c
}

// Address is the bind as the network wants it: ":61613" for "61613".
func (c Config) Address() string { return c.normal().Bind }

// normal has the aliases resolved and defaults for what is not given.
func (c Config) normal() Config {
	if c.Type == "ssl" {
		c.Type = TLS
	}
	if c.Bind != "" && !strings.Contains(c.Bind, ":") {
		c.Bind = ":" + c.Bind
	}
	d := Default(c.Type)
	orDefault(&c.MaxConnections, d.MaxConnections)
	orDefault(&c.MaxConnRate, d.MaxConnRate)
	orDefault(&c.ProxyProtocolTimeout, d.ProxyProtocolTimeout)
	orDefault(&c.HandshakeTimeout, d.HandshakeTimeout)
	orDefault(&c.TLS.Verify, d.TLS.Verify)
	orDefault(&c.TLS.MinVersion, d.TLS.MinVersion)
	orDefault(&c.TCP.KeepAlive, d.TCP.KeepAlive)
	orDefault(&c.PeerIdle, d.PeerIdle)
	orDefault(&c.UDP.MaxPacket, d.UDP.MaxPacket)
	orDefault(&c.UDP.Sockets, d.UDP.Sockets)
	orDefault(&c.WebSocket.Path, d.WebSocket.Path)
	orDefault(&c.WebSocket.MaxFrameSize, d.WebSocket.MaxFrameSize)
	orDefault(&c.WebSocket.MessageType, d.WebSocket.MessageType)
	return c
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (c Config) packets() bool   { return c.Type == UDP || c.Type == DTLS }
func (c Config) webSocket() bool { return c.Type == WS || c.Type == WSS }
