package listen

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxTimeout   = time.Hour
	minFrameSize = 1 << 10
	maxNumber    = 1 << 30
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
	if c.packets() && c.ProxyProtocol {
		check("proxy_protocol", errors.New("is not for datagrams"))
	}
	check("udp_options.sndbuf", within(c.UDP.SendBuffer, 0))
	check("udp_options.recbuf", within(c.UDP.RecvBuffer, 0))
	check("udp_options.max_packet_rate", within(c.UDP.PacketRate, 1))
	if c.UDP.PeerIdle < time.Second {
		check("udp_options.peer_idle_timeout", errors.New("must be at least 1s"))
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
	errs = append(errs, c.TLS.validate(c.secure())...)
	errs = append(errs, c.TLS.validateDTLS(c.Type)...)
	errs = append(errs, c.WebSocket.validate()...)
	return errors.Join(errs...)
}

func (t TLSConfig) validate(used bool) (errs []error) {
	if t.Verify != VerifyNone && t.Verify != VerifyPeer {
		errs = append(errs, fmt.Errorf("ssl_options.verify: %q is not verify_none or verify_peer", t.Verify))
	}
	if t.Verify == VerifyPeer && t.CAFile == "" {
		errs = append(errs, errors.New("ssl_options.cacertfile: verify_peer needs the authorities of the clients' certificates"))
	}
	if t.FailIfNoPeerCert && t.Verify == VerifyNone {
		errs = append(errs, errors.New("ssl_options.fail_if_no_peer_cert: has no effect without verify: verify_peer"))
	}
	if _, err := parseVersion(t.MinVersion); err != nil {
		errs = append(errs, fmt.Errorf("ssl_options.min_version: %w", err))
	}
	if used && t.CertFile == "" {
		errs = append(errs, errors.New("ssl_options.certfile: must be given"))
	}
	if used && t.KeyFile == "" {
		errs = append(errs, errors.New("ssl_options.keyfile: must be given"))
	}
	return errs
}

func (t TLSConfig) validateDTLS(typ string) (errs []error) {
	if t.PSKFile != "" && typ != DTLS && typ != "" {
		errs = append(errs, errors.New("ssl_options.psk_file: is for dtls only"))
	}
	if typ != DTLS {
		return errs
	}
	if t.CertFile == "" && t.PSKFile == "" {
		errs = append(errs, errors.New("dtls_options: certfile with keyfile, or psk_file must be given"))
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		errs = append(errs, errors.New("dtls_options.keyfile: certfile and keyfile go together"))
	}
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
