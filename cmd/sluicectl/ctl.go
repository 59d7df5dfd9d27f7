package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/urfave/cli/v2"

	"sluice/pkg/natsx"
	"sluice/streams"
)

// ctl is one run of a command: its flags, its output, and its connection once
// something has been asked.
type ctl struct {
	*cli.Context
	out, err io.Writer
	json     bool
	timeout  time.Duration
	nc       *nats.Conn
}

func newCtl(c *cli.Context) (*ctl, error) {
	x := &ctl{Context: c, out: c.App.Writer, err: c.App.ErrWriter, timeout: c.Duration("timeout")}
	switch o := c.String("output"); o {
	case "json":
		x.json = true
	case "table":
	default:
		return nil, usagef("output %q is neither table nor json", o)
	}
	if x.timeout <= 0 {
		return nil, usagef("timeout must be positive")
	}
	return x, nil
}

func (x *ctl) close() {
	if x.nc != nil {
		x.nc.Close()
	}
}

// ask asks a service, after connecting the first time.
func ask[Req, Resp any](x *ctl, service, verb string, r Req) (Resp, error) {
	var none Resp
	if err := x.connect(); err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(x.Context.Context, x.timeout)
	defer cancel()
	resp, err := natsx.Call[Req, Resp](ctx, x.nc, streams.ServiceSubject(service, verb), r)
	switch {
	case err == nil:
		return resp, nil
	case x.Context.Err() != nil:
		return none, failure{exitError, errors.New("interrupted")}
	case errors.Is(err, nats.ErrNoResponders):
		return none, failure{exitUnavailable, fmt.Errorf("no service answers %s: does a sluice with %s run there?", streams.ServiceSubject(service, verb), processOf(service))}
	case errors.Is(err, context.DeadlineExceeded):
		return none, failure{exitUnavailable, fmt.Errorf("%s.%s: no answer within %s", service, verb, x.timeout)}
	}
	return none, err
}

// processOf is the name of a service on the command line of sluice run.
func processOf(service string) string {
	if service == "mgmt" {
		return "management"
	}
	return service
}

func (x *ctl) connect() error {
	if x.nc != nil {
		return nil
	}
	urls := strings.Split(x.String("nats"), ",")
	o := natsx.Options{
		URLs: urls, Name: "sluicectl", Creds: x.String("creds"), NKey: x.String("nkey"),
		TLSCA: x.String("tlsca"), TLSCert: x.String("tlscert"), TLSKey: x.String("tlskey"),
	}
	ctx, cancel := context.WithTimeout(x.Context.Context, x.timeout)
	defer cancel()
	err := reachable(ctx, urls)
	if err == nil {
		x.nc, err = natsx.Connect(ctx, o)
	}
	if err == nil {
		return nil
	}
	at := redact(urls)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return failure{exitError, err}
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		return failure{exitUnavailable, fmt.Errorf("NATS at %s refuses the credentials", at)}
	}
	return failure{exitUnavailable, fmt.Errorf("cannot reach NATS at %s: %w; is sluice running?", at, short(err))}
}

// reachable fails when no server can be dialled. natsx.Connect is patient, as
// services need it; a person at a terminal wants to know now.
func reachable(ctx context.Context, urls []string) error {
	var last error
	for _, u := range urls {
		if !strings.Contains(u, "://") {
			u = "nats://" + u
		}
		p, err := url.Parse(strings.TrimSpace(u))
		if err != nil || p.Host == "" || p.Scheme != "nats" && p.Scheme != "tls" {
			return nil //nolint:nilerr // the client of NATS knows better
		}
		port := p.Port()
		if port == "" {
			port = "4222"
		}
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(p.Hostname(), port))
		if err == nil {
			return c.Close()
		}
		last = err
	}
	return last
}

// short leaves out what the message says already.
func short(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		return op.Err
	}
	return err
}

// redact is the servers without user names and passwords.
func redact(urls []string) string {
	var out []string
	for _, u := range urls {
		u = strings.TrimSpace(u)
		scheme, rest, ok := strings.Cut(u, "://")
		if !ok {
			scheme, rest = "nats", u
		}
		if i := strings.LastIndexByte(rest, '@'); i >= 0 {
			rest = rest[i+1:]
		}
		out = append(out, scheme+"://"+rest)
	}
	return strings.Join(out, ",")
}

// partial is the error of a result that lacks nodes; the result is printed.
func partial(missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	return failure{exitUnavailable, fmt.Errorf("the result is partial, these nodes did not answer: %s", strings.Join(missing, ", "))}
}

// gatewayArg checks the form of a gateway's name before anybody is asked.
func (x *ctl) gatewayArg() (string, error) {
	name := x.Args().First()
	proto, inst, dotted := strings.Cut(name, ".")
	if proto == "" || dotted && inst == "" {
		return "", usagef("bad gateway name %q: want a protocol, or protocol.instance as in stomp.default", name)
	}
	return name, nil
}
