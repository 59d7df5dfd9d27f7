package listen

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxTimeout   = time.Hour
	minFrameSize = 1 << 10
	maxNumber    = 1 << 30
	maxSockets   = 64
)

// Validate names every key that is wrong. It reads no file. While Type is empty,
// what depends on it is left for [Open] to check.
func (c Config) Validate() error {
	c = c.normal()
	var errs []error
	check := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	if !slices.Contains([]string{"", TCP, TLS, WS, WSS, UDP, DTLS}, c.Type) {
		check("type", fmt.Errorf("%q is not tcp, tls, ws, wss, udp or dtls", c.Type))
	}
	check("bind", checkBind(c.Bind))
	check("max_connections", within(c.MaxConnections, 1))
	check("max_conn_rate", within(c.MaxConnRate, 1))
	check("proxy_protocol_timeout", withinTime(c.ProxyProtocolTimeout))
	check("handshake_timeout", withinTime(c.HandshakeTimeout))
	_, err := parseRules(c.AccessRules)
	check("access_rules", err)
	check("tcp_options.sndbuf", within(c.TCP.SendBuffer, 0))
	check("tcp_options.recbuf", within(c.TCP.RecvBuffer, 0))
	_, err = parseKeepAlive(c.TCP.KeepAlive)
	check("tcp_options.keepalive", err)
	check("max_packet_rate", within(c.MaxPacketRate, 0))
	if c.PeerIdle < time.Second {
		check("peer_idle_timeout", errors.New("must be at least 1s"))
	}
	errs = append(errs, c.UDP.validate()...)
	errs = append(errs, c.TLS.validate(c.Type)...)
	errs = append(errs, c.WebSocket.validate()...)
	errs = append(errs, c.misplaced()...)
	return errors.Join(errs...)
}

// validate calls the block as the type does.
func (t TLSConfig) validate(typ string) (errs []error) {
	wrong := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s.%s: %w", blockTLS(typ), key, fmt.Errorf(format, args...)))
	}
	if t.Verify != VerifyNone && t.Verify != VerifyPeer {
		wrong("verify", "%q is not verify_none or verify_peer", t.Verify)
	}
	if t.Verify == VerifyPeer && t.CAFile == "" {
		wrong("cacertfile", "verify_peer needs the authorities of the clients' certificates")
	}
	if t.FailIfNoPeerCert && t.Verify == VerifyNone {
		wrong("fail_if_no_peer_cert", "has no effect without verify: verify_peer")
	}
	version, err := parseVersion(t.MinVersion)
	if err != nil {
		wrong("min_version", "%w", err)
	}
	switch typ {
	case TLS, WSS:
		if t.CertFile == "" {
			wrong("certfile", "must be given")
		}
		if t.KeyFile == "" {
			wrong("keyfile", "must be given")
		}
	case DTLS:
		if version == tls.VersionTLS13 {
			wrong("min_version", "dtls has 1.2 only")
		}
		if t.CertFile == "" && t.PSKFile == "" {
			wrong("certfile", "certfile with keyfile, or psk_file, or both must be given")
		}
		if (t.CertFile == "") != (t.KeyFile == "") {
			wrong("keyfile", "certfile and keyfile go together")
		}
		if t.CertFile == "" && t.Verify == VerifyPeer {
			wrong("verify", "verify_peer needs a certfile: pre-shared keys are no certificates")
		}
	}
	return errs
}

// blockTLS is the name of the block of TLSConfig.
func blockTLS(typ string) string {
	if typ == DTLS {
		return "dtls_options"
	}
	return "ssl_options"
}

func (u UDPConfig) validate() (errs []error) {
	check := func(key string, n, low, high int) {
		if n < low || n > high {
			errs = append(errs, fmt.Errorf("udp_options.%s: must be from %d to %d", key, low, high))
		}
	}
	check("sndbuf", u.SendBuffer, 0, maxNumber)
	check("recbuf", u.RecvBuffer, 0, maxNumber)
	check("max_packet", u.MaxPacket, 1, maxDatagram)
	check("sockets", u.Sockets, 1, maxSockets)
	return errs
}

// misplaced names what was given and means nothing for the type. What is as the
// defaults have it was not given.
func (c Config) misplaced() (errs []error) {
	if c.Type == "" {
		return nil
	}
	if len(c.WebSocket.Subprotocols) == 0 && len(c.WebSocket.Origins) == 0 { // an empty list is none
		c.WebSocket.Subprotocols, c.WebSocket.Origins = nil, nil
	}
	unset, zero := Default(c.Type).normal(), Config{Type: c.Type}.normal()
	check := func(key string, fits bool, v, def, zero any) {
		if !fits && !reflect.DeepEqual(v, def) && !reflect.DeepEqual(v, zero) {
			errs = append(errs, fmt.Errorf("%s: is not for %s", key, c.Type))
		}
	}
	stream, dtls := !c.packets(), c.Type == DTLS
	check("proxy_protocol", stream, c.ProxyProtocol, false, false)
	check("proxy_protocol_timeout", stream, c.ProxyProtocolTimeout, unset.ProxyProtocolTimeout, zero.ProxyProtocolTimeout)
	check("tcp_options", stream, c.TCP, unset.TCP, zero.TCP)
	check("websocket", stream, c.WebSocket, unset.WebSocket, zero.WebSocket)
	check("ssl_options", c.Type != UDP, c.TLS, unset.TLS, zero.TLS)
	check("ssl_options.psk_file", dtls || c.Type == UDP, c.TLS.PSKFile, "", "")
	check("udp_options", !stream, c.UDP, unset.UDP, zero.UDP)
	check("max_packet_rate", !stream, c.MaxPacketRate, unset.MaxPacketRate, zero.MaxPacketRate)
	check("peer_idle_timeout", !stream, c.PeerIdle, unset.PeerIdle, zero.PeerIdle)
	return errs
}

func (w WSConfig) validate() (errs []error) {
	if !strings.HasPrefix(w.Path, "/") {
		errs = append(errs, fmt.Errorf("websocket.path: %q does not begin with /", w.Path))
	}
	if err := within(w.MaxFrameSize, minFrameSize); err != nil {
		errs = append(errs, fmt.Errorf("websocket.max_frame_size: %w", err))
	}
	if !slices.Contains([]string{MessageAuto, MessageText, MessageBinary}, w.MessageType) {
		errs = append(errs, fmt.Errorf("websocket.message_type: %q is not auto, text or binary", w.MessageType))
	}
	if w.FailIfNoSubprotocol && len(w.Subprotocols) == 0 {
		errs = append(errs, errors.New("websocket.fail_if_no_subprotocol: there are no supported_subprotocols"))
	}
	if w.CheckOrigin && len(w.Origins) == 0 {
		errs = append(errs, errors.New("websocket.check_origins: check_origin_enable needs at least one"))
	}
	for i, o := range w.Origins {
		if u, err := url.Parse(o); err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" {
			errs = append(errs, fmt.Errorf("websocket.check_origins[%d]: %q is not scheme://host[:port]", i, o))
		}
	}
	return errs
}

func checkBind(bind string) error {
	if bind == "" {
		return errors.New("must be given")
	}
	_, port, err := net.SplitHostPort(bind)
	if err != nil {
		return fmt.Errorf("%q is not address:port or a port", bind)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q is not a port", port)
	}
	return nil
}

func within(n, low int) error {
	if n < low || n > maxNumber {
		return fmt.Errorf("must be from %d to %d", low, maxNumber)
	}
	return nil
}

func withinTime(d time.Duration) error {
	if d < time.Millisecond || d > maxTimeout {
		return fmt.Errorf("must be from 1ms to %s", maxTimeout)
	}
	return nil
}

// parseKeepAlive reads EMQX's triple: seconds idle, seconds between probes, probes.
func parseKeepAlive(s string) (net.KeepAliveConfig, error) {
	if s == "none" {
		return net.KeepAliveConfig{}, nil
	}
	var n []int
	for f := range strings.SplitSeq(s, ",") {
		v, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil || v < 1 || v > 32767 { // the kernel's limit for seconds
			return net.KeepAliveConfig{}, fmt.Errorf("%q is not none or \"idle,interval,probes\"", s)
		}
		n = append(n, v)
	}
	if len(n) != 3 || n[2] > 127 {
		return net.KeepAliveConfig{}, fmt.Errorf("%q is not none or \"idle,interval,probes\"", s)
	}
	return net.KeepAliveConfig{
		Enable: true, Idle: time.Duration(n[0]) * time.Second, Interval: time.Duration(n[1]) * time.Second, Count: n[2],
	}, nil
}
