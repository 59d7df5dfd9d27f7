package jt808

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wire/jt808"
)

// joined is what the door said.
type joined struct {
	client gateway.Client
	err    error
	header jt808.Header // of the authentication
}

// authSlack is how much longer than the door's own time-out a connection waits.
const authSlack = 5 * time.Second

// anonymousCode is what a terminal gets where any code will do.
const anonymousCode = "anonymous"

// onStranger takes what a terminal may send before it is authenticated: 0x0100,
// 0x0102 and 0x0003 (§3).
func (c *conn) onStranger(ctx context.Context, f jt808.Frame) error {
	c.meet(f)
	switch f.ID {
	case 0x0100:
		c.onRegister(f)
		return nil
	case 0x0102:
		return c.onAuthenticate(ctx, f)
	case 0x0003:
		c.general(f.Header, resultOK)
		c.leaving = true
		return nil
	}
	c.env.Metrics.FrameError("unexpected")
	c.general(f.Header, resultFailure)
	return c.budget()
}

// meet notes how a terminal writes; until it is authenticated it may say something
// else the next time.
func (c *conn) meet(f jt808.Frame) {
	was := c.edition
	c.phone, c.version = f.Phone, f.Version
	switch {
	case f.Versioned:
		c.edition = jt808.Edition2019
	case f.ID == 0x0100:
		c.edition = jt808.GuessEdition(f.Header, f.Body)
	case was != jt808.Edition2011 && was != jt808.Edition2013:
		c.edition = c.edge.conf.edition()
	}
}

// onRegister answers a registration. Where terminals must be known, the operator
// has given them their codes: then there is none to give here.
func (c *conn) onRegister(f jt808.Frame) {
	if _, err := jt808.Decode(nil, f.ID, c.edition, f.Body, c.options()); err != nil {
		c.general(f.Header, resultBad)
		return
	}
	conf := &c.edge.conf
	switch {
	case conf.Proto.AuthSecret.Reveal() != "":
		c.registered(f.Header, resultOK, c.code())
	case conf.AllowAnonymous:
		c.registered(f.Header, resultOK, anonymousCode)
	default:
		c.registered(f.Header, 4, "") // not in the database
	}
}

// code is the authentication code of a phone: any node can make and check it.
func (c *conn) code() string {
	mac := hmac.New(sha256.New, []byte(c.edge.conf.Proto.AuthSecret.Reveal()))
	mac.Write([]byte(c.phone.Key()))
	return hex.EncodeToString(mac.Sum(nil)[:12])
}

// onAuthenticate asks the door, with the phone as client id and user, and the code
// as password.
func (c *conn) onAuthenticate(ctx context.Context, f jt808.Frame) error {
	code, err := c.codeOf(f)
	if err != nil {
		c.general(f.Header, resultBad)
		return c.budget()
	}
	if secret := c.edge.conf.Proto.AuthSecret.Reveal(); secret != "" && subtle.ConstantTimeCompare([]byte(code), []byte(c.code())) != 1 {
		c.env.Metrics.Connect(api.Denied.String())
		c.general(f.Header, resultFailure)
		return c.budget()
	}
	hello := gateway.Hello{
		ClientID: c.phone.Key(), Username: c.phone.Key(), Password: api.Password(code),
		CertCN: c.peer.certCN, Peer: c.peer.addr, ProtoName: "JT/T 808", ProtoVer: c.edition.String(),
		Keepalive: c.edge.conf.Keepalive, Session: true, Commands: true,
		Packet: func(name string) (string, bool) { return c.phone.String(), name == "phone" },
	}
	result := make(chan joined, 1)
	c.joining = result
	go func() {
		j := joined{header: f.Header}
		defer func() {
			if p := recover(); p != nil {
				c.env.Log.Error("jt808: panic at the door", "panic", p)
				j.err = errPanic
			}
			result <- j
		}()
		ctx, cancel := context.WithTimeout(ctx, c.edge.conf.AuthTimeout+authSlack)
		defer cancel()
		j.client, j.err = c.door.Connect(ctx, hello)
	}()
	return nil
}

// codeOf reads 0x0102: the code alone, or with more since 2019.
func (c *conn) codeOf(f jt808.Frame) (string, error) {
	text, err := jt808.Decode(nil, f.ID, c.edition, f.Body, c.options())
	if err != nil {
		return "", err
	}
	var body struct {
		Code string `json:"code"`
	}
	return body.Code, json.Unmarshal(text, &body)
}

// onJoined answers the authentication.
func (c *conn) onJoined(j joined) error {
	c.joining = nil
	if j.err == nil {
		j.err = c.join(j.client)
	}
	switch {
	case errors.Is(j.err, errPanic):
		return j.err
	case j.err != nil:
		c.env.Log.Debug("terminal refused", "client", c.phone.Key(), "peer", c.peer.addr, "error", j.err)
		c.general(j.header, resultFailure)
		return c.budget()
	}
	c.general(j.header, resultOK)
	return nil
}

// join begins the time of a client.
func (c *conn) join(client gateway.Client) (err error) {
	c.topic, err = client.Topic(c.edge.conf.Proto.UpTopic, c.variable)
	if err != nil {
		client.Close(gateway.ErrProtocol)
		return err
	}
	c.client = client
	c.in.known.Store(true)
	return nil
}

func (c *conn) variable(name string) (string, bool) { return c.phone.String(), name == "phone" }

func (c *conn) options() jt808.Options {
	return jt808.Options{GBK: c.edge.conf.Frame.StringEncoding == "gbk"}
}
