package stomp

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

var errLoginTimeout = errors.New("authentication took too long")

// onConnect negotiates and asks the door (STOMP 1.2 "CONNECT or STOMP Frame").
func (c *conn) onConnect(ctx context.Context, f stomp.Frame) error {
	if c.state != fresh {
		return violation("%s again: this connection is connected already", f.Command)
	}
	v, ok := stomp.NegotiateVersion(f.Get("accept-version"))
	if !ok { // STOMP 1.2 "Protocol Negotiation"
		r := violation("Supported protocol versions are %s", strings.ReplaceAll(stomp.SupportedVersions, ",", " "))
		r.headers = []stomp.Header{{Name: "version", Value: stomp.SupportedVersions}}
		return r
	}
	c.version = v
	if c.edge.conf.RequireHost && v >= stomp.V11 && f.Get("host") == "" {
		return violation("%s needs a header host", f.Command)
	}
	toServer, toClient, err := c.negotiateBeats(f)
	if err != nil {
		return err
	}
	hello := c.hello(f, toServer)
	c.named = hello.ClientID != ""
	c.state = joining
	c.clock.login = time.Time{}
	connect := func(ctx context.Context) (gateway.Client, error) { return c.door.Connect(ctx, hello) }
	c.call(ctx, c.edge.conf.AuthTimeout, errLoginTimeout, connect, func(_ context.Context, r result) error {
		if r.err != nil {
			return loginError(r.err)
		}
		return c.connected(r.client, toServer, toClient)
	})
	return nil
}

// negotiateBeats applies the rule of STOMP 1.2 "Heart-beating". 1.0 has no
// heart-beats.
func (c *conn) negotiateBeats(f stomp.Frame) (toServer, toClient time.Duration, err error) {
	value, ok := f.Lookup("heart-beat")
	if !ok || c.version == stomp.V10 {
		return 0, 0, nil
	}
	theirs, err := stomp.ParseHeartBeat(value)
	if err != nil {
		return 0, 0, violation("heart-beat must be two numbers of milliseconds with a comma between")
	}
	toServer, toClient = stomp.Negotiate(theirs, c.ours())
	return toServer, toClient, nil
}

func (c *conn) ours() stomp.HeartBeat {
	return stomp.HeartBeat{Send: c.edge.conf.HeartBeat.Send, Want: c.edge.conf.HeartBeat.Want}
}

func (c *conn) hello(f stomp.Frame, keepalive time.Duration) gateway.Hello {
	id := f.Get("client-id")
	return gateway.Hello{
		ClientID: id, Username: f.Get("login"), Password: api.Password(f.Get("passcode")),
		CertCN: c.peer.certCN, Peer: c.peer.addr,
		ProtoName: "STOMP", ProtoVer: c.version.String(),
		Keepalive: keepalive, Clean: id == "",
		Packet: func(name string) (string, bool) {
			header, ok := strings.CutPrefix(name, "headers.")
			if !ok {
				return "", false
			}
			return f.Lookup(header)
		},
	}
}

// connected answers a device that the door let in (STOMP 1.2 "CONNECTED Frame")
// and lets the reader go on.
func (c *conn) connected(client gateway.Client, toServer, toClient time.Duration) error {
	c.client, c.state = client, open
	info := client.Info()
	beats := stomp.HeartBeat{}
	if c.version >= stomp.V11 {
		beats = c.ours()
	}
	c.in.resume <- c.version
	c.clock.start(toServer, toClient)
	c.env.Log.Debug("device connected", "client", info.Client, "username", info.Username, "peer", c.peer.addr, "version", c.version)
	return c.out.frame(stomp.Frame{Command: stomp.CmdConnected, Headers: []stomp.Header{
		{Name: "version", Value: c.version.String()},
		{Name: "session", Value: info.ClientKey.String() + "." + strconv.FormatUint(info.Epoch, 36)},
		{Name: "server", Value: "sluice/" + c.env.Version},
		{Name: "heart-beat", Value: beats.String()},
	}}, c.version)
}
