package gateway

import (
	"context"
	"crypto/subtle"
	"errors"
	"net"
	"strings"
	"time"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/pkg/subject"
	"sluice/streams"
)

// maxClientID keeps keys and subjects well below their limits, also when every
// byte is escaped.
const maxClientID = 256

// door is the way in through one listener of an instance.
type door struct {
	inst     *Instance
	listener string // stomp:tcp:default
	mount    string // template: the listener's own, or the instance's
	authn    bool
}

// Connect runs the pipeline. The override comes first because it supplies the
// identity that is banned and the credentials that are checked.
func (d door) Connect(ctx context.Context, h Hello) (Client, error) {
	h = d.override(h)
	c, err := d.connect(ctx, h)
	if err != nil {
		d.inst.metrics.Connect(api.KindOf(err).String())
		if api.KindOf(err) == api.Denied {
			d.inst.node.event(api.Event{
				ClientKey: d.key(h.ClientID), Event: api.EventAuthDenied, Username: h.Username, Peer: h.Peer,
				Listener: d.listener, ProtoVer: h.ProtoVer, Reason: api.PeerText(err),
			})
		}
		return nil, err
	}
	d.inst.metrics.Connect("ok")
	return c, nil
}

func (d door) connect(ctx context.Context, h Hello) (*client, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.inst.conf.AuthTimeout, errAuthTimeout)
	defer cancel()
	if err := checkID(h.ClientID); err != nil {
		return nil, err
	}
	if d.inst.node.bans.banned(h.ClientID, h.Username, h.Peer) {
		return nil, api.Errorf(api.Denied, "connect", "%w", ErrBanned)
	}
	start := time.Now()
	auth, err := d.authenticate(ctx, h)
	d.inst.metrics.Auth(time.Since(start), err == nil && auth.Allow)
	if err != nil {
		return nil, err
	}
	if !auth.Allow {
		return nil, api.Errorf(api.Denied, "connect", "not_authorized")
	}
	if h.ClientID == "" {
		h.ClientID = d.inst.kind.Proto + "-" + newID()
	}
	c, err := d.newClient(h, auth)
	if err != nil {
		return nil, err
	}
	if err := d.inst.node.own(ctx, c, h.Wake); err != nil {
		return nil, err
	}
	if h.Session {
		if err := c.openSession(ctx, h); err != nil {
			c.discard()
			return nil, err
		}
	}
	if d.inst.node.bans.banned(h.ClientID, h.Username, h.Peer) { // since it was looked at first
		c.kick(ErrBanned)
	}
	c.arm(auth.ExpireAt)
	if h.Wake {
		c.event(api.EventAwake, nil)
	} else {
		c.event(api.EventConnected, nil)
	}
	return c, nil
}

// discard takes back a client that its edge has never seen.
func (c *client) discard() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.inbox.close()
	c.node.disown(c)
	c.metrics.Disconnected("refused")
}

var errAuthTimeout = errors.New("authentication took too long")

func checkID(id string) error {
	if len(id) > maxClientID {
		return api.Errorf(api.Invalid, "connect", "client id is longer than %d bytes", maxClientID)
	}
	return nil
}

// override fills the instance's templates in. Each sees what the device said,
// not what another template made of it.
func (d door) override(h Hello) Hello {
	fill := func(said, template string) string {
		if template == "" {
			return said
		}
		return subject.Expand(template, func(name string) (string, bool) { return d.variable(h, nil, name) })
	}
	o, out := d.inst.conf.Override, h
	out.ClientID = fill(h.ClientID, o.ClientID)
	out.Username = fill(h.Username, o.Username)
	out.Password = api.Password(fill(string(h.Password), o.Password))
	return out
}

// variable is the value of a template variable for a device.
func (d door) variable(h Hello, attrs map[string]string, name string) (string, bool) {
	switch name {
	case "clientid":
		return h.ClientID, true
	case "username":
		return h.Username, true
	case "peerhost":
		host, _, _ := net.SplitHostPort(h.Peer)
		return host, true
	case "cert_cn":
		return h.CertCN, true
	case "instance":
		return d.inst.name, true
	}
	if field, ok := strings.CutPrefix(name, "Packet."); ok && h.Packet != nil {
		return h.Packet(field)
	}
	if attr, ok := strings.CutPrefix(name, "client_attrs."); ok {
		v, ok := attrs[attr]
		return v, ok
	}
	return "", false
}

func (d door) authenticate(ctx context.Context, h Hello) (api.AuthResponse, error) {
	if !d.authn {
		return api.AuthResponse{Allow: true}, nil
	}
	if u := d.inst.conf.DefaultUser; u.Login != "" && h.Username == u.Login {
		same := subtle.ConstantTimeCompare([]byte(h.Password), []byte(u.Passcode.Reveal())) == 1
		return api.AuthResponse{Allow: same, Reason: "bad_credentials"}, nil
	}
	resp, err := natsx.Call[api.AuthRequest, api.AuthResponse](ctx, d.inst.node.NC, streams.ServiceSubject("authn", "check"), api.AuthRequest{
		ClientKey: d.key(h.ClientID), Listener: d.listener, Peer: h.Peer, Username: h.Username, Password: h.Password,
		CertCN: h.CertCN, AllowAnonymous: d.inst.conf.AllowAnonymous,
	})
	if api.KindOf(err) == api.Busy { // says when to come back better than we could
		return resp, err
	}
	if err != nil {
		return resp, api.Wrap(api.Unavailable, "connect", "authentication is not available, try later", errors.Join(err, context.Cause(ctx)))
	}
	return resp, nil
}

func (d door) key(clientID string) api.ClientKey {
	return api.ClientKey{Proto: d.inst.kind.Proto, Instance: d.inst.name, Client: clientID}
}

func (d door) newClient(h Hello, auth api.AuthResponse) (*client, error) {
	lookup := func(name string) (string, bool) { return d.variable(h, auth.Attrs, name) }
	mount, err := d.mountpoint(lookup)
	if err != nil {
		return nil, err
	}
	c := &client{
		node: d.inst.node, inst: d.inst, metrics: d.inst.metrics, mount: mount,
		inbox: inbox{notify: h.Notify}, kicked: make(chan error, 1), subs: map[string]*subscription{}, sessions: h.Session, woken: h.Wake,
	}
	if h.Notify == nil {
		c.inbox.wake = make(chan struct{}, 1)
	}
	if !auth.Superuser {
		if c.acl, err = newACL(append(auth.Rules[:len(auth.Rules):len(auth.Rules)], d.inst.rules...), mount, lookup); err != nil {
			return nil, err
		}
	}
	now := time.Now().UTC()
	c.info = api.ClientInfo{
		ClientKey: d.key(h.ClientID), Node: d.inst.node.ID, Listener: d.listener, Username: h.Username,
		Mountpoint: mount.Topic(), ProtoName: h.ProtoName, ProtoVer: h.ProtoVer, Peer: h.Peer,
		Keepalive: int(h.Keepalive / time.Second), CleanStart: h.Clean, ConnectedAt: now,
	}
	c.key = c.info.ClientKey.String()
	if d.inst.topical {
		c.lookup = lookup
	}
	return c, nil
}

// mountpoint fills the template in. Message protocols have none.
func (d door) mountpoint(lookup func(string) (string, bool)) (subject.Mount, error) {
	if d.inst.topical {
		return subject.Mount{}, nil
	}
	topic, err := fill(d.mount, lookup)
	if err != nil {
		return subject.Mount{}, err
	}
	m, err := subject.NewMount(topic)
	if err != nil {
		return m, api.Errorf(api.Denied, "connect", "%w", err)
	}
	return m, nil
}

// arm closes the client when its credential expires.
func (c *client) arm(at time.Time) {
	if !at.IsZero() {
		c.expiry = time.AfterFunc(time.Until(at), func() { c.kick(ErrExpired) })
	}
}
