package mqttsn

import (
	"context"
	"strings"
	"time"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/mqttsn"
)

// login is a CONNECT that is not answered yet.
type login struct {
	clean    bool
	asks     bool // for the will dialogue
	lifetime uint16
	will     *will
	step     mqttsn.Type // what was asked for last: WILLTOPICREQ, WILLMSGREQ
	tries    int
	again    time.Duration // then it is asked for again
	until    time.Duration // then the dialogue is over
}

func newLogin(p *mqttsn.Packet) *login {
	return &login{clean: p.Flags.Clean, asks: p.Flags.Will, lifetime: p.Duration}
}

// onConnect takes the CONNECT of a device that is here (MQTT-SN 1.2 §6.2).
func (c *conn) onConnect(p *mqttsn.Packet) {
	switch c.state {
	case asking:
		c.begin(newLogin(p))
	case joining: // its answer is on the way
		if c.wake != nil {
			c.login = newLogin(p)
		}
	case active:
		if c.untouched && p.Flags.Clean == c.clean && p.Duration == c.lifetime && p.Flags.Will == (c.will != nil) {
			c.code(mqttsn.Connack, mqttsn.Accepted) // the first was lost
			return
		}
		c.part(gateway.ErrTakenOver)
		c.begin(newLogin(p))
	case awake:
		c.login = newLogin(p)
		c.handOver(noAnswer)
	case napping:
		c.login = newLogin(p)
	case gone:
	}
}

// begin asks for the will, or the door.
func (c *conn) begin(l *login) {
	c.login, c.wake = l, nil
	if !l.asks {
		c.join()
		return
	}
	c.state = asking
	l.until = c.srv.now() + c.srv.edge.conf.IdleTimeout
	c.ask(mqttsn.WillTopicReq)
}

// join asks the door. One that sleeps on is known by its client id only.
func (c *conn) join() {
	c.state = joining
	l := c.login
	h := c.hello()
	h.Clean, h.Keepalive = l.clean, time.Duration(l.lifetime)*time.Second
	if !c.connect(h, c.joined) {
		c.code(mqttsn.Connack, mqttsn.Congestion)
		c.end(gateway.ErrClosed)
	}
}

func (c *conn) hello() gateway.Hello {
	s, who := c.srv, c.at.link.Identity()
	return gateway.Hello{
		ClientID: c.id, Username: who.PSK, CertCN: who.CertCN, Peer: c.at.link.String(),
		ProtoName: "MQTT-SN", ProtoVer: "1.2", Session: true,
		Notify: func() { s.ready.put(c) },
		Packet: func(name string) (string, bool) {
			switch strings.TrimPrefix(name, "headers.") {
			case "clientid":
				return c.id, true
			case "psk_identity":
				return who.PSK, true
			case "wireless_node_id":
				return c.at.node, true
			}
			return "", false
		},
	}
}

// connect asks the door; false when too many do so at the same time.
func (c *conn) connect(h gateway.Hello, then func(gateway.Client, error)) bool {
	s := c.srv
	select {
	case s.joining <- struct{}{}:
	default:
		return false
	}
	c.call(s.edge.conf.AuthTimeout, func(ctx context.Context) (gateway.Client, error) {
		defer func() { <-s.joining }()
		return s.door.Connect(ctx, h)
	}, then)
	return true
}

// joined answers CONNECT.
func (c *conn) joined(client gateway.Client, err error) {
	if err != nil {
		c.srv.env.Log.Debug("device refused", "client", c.id, "peer", c.at.link.String(), "error", err)
		c.code(mqttsn.Connack, codeFor(err))
		c.end(err)
		return
	}
	l := c.login
	c.client, c.login, c.state = client, nil, active
	c.clean, c.lifetime, c.will = l.clean, l.lifetime, l.will
	c.adopt()
	if found := client.Session(); found.Present && !l.clean {
		m := recall(found.State)
		c.in = m.inbound()
		if !l.asks { // MQTT-SN 1.2 §6.3: a session keeps its will
			c.will = m.Will
		}
	}
	c.srv.asleep.forget(c.at.key())
	c.at.link.Prove()
	c.code(mqttsn.Connack, mqttsn.Accepted)
	c.untouched = true
	c.heard = c.srv.now()
	if c.srv.edge.conf.SubsResume {
		c.announce()
	}
	c.take()
}

// adopt makes the session's subscriptions those of the device. What it has
// registered before is forgotten: it may have forgotten it too.
func (c *conn) adopt() {
	found := c.client.Session()
	c.durable = !c.clean || found.Present
	c.topics, c.subs = nil, nil
	for _, s := range found.Subs {
		c.subs.set(s.Filter, s.QoS)
	}
}
