package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/gateway"
	"sluice/pkg/metrics"
	"sluice/pkg/natsx"
	"sluice/services/authn"
	"sluice/services/management"
	"sluice/services/session"
	"sluice/streams"
)

// process is what runs, in the order of its start; it ends in reverse.
type process struct {
	*plan
	log     *slog.Logger
	metrics *metrics.Metrics
	nats    natsx.Options
	roots   streams.Options
	server  *natsx.Server // embedded, or nil
	node    *gateway.Node
	ends    []func(context.Context) error // how to end what was started
	failed  chan error                    // a service that ended by itself
}

// startTimeout is how long NATS may take to be there at the start.
const startTimeout = time.Minute

// runPlan starts everything, prints where it listens, and ends it when ctx does.
func runPlan(ctx context.Context, p *plan, o natsx.Options, stdout, stderr io.Writer) (err error) {
	begin := time.Now()
	x := &process{plan: p, log: newLogger(stderr, p.Log), metrics: metrics.New(version), nats: o, failed: make(chan error, 8)}
	if x.Node == "" {
		x.Node = nodeName(natsx.NewID()[:6])
	}
	if x.roots, err = p.streamOptions(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.stop(ctx)) }()
	if err := x.start(ctx); err != nil {
		return err
	}
	if err := x.banner(stdout, time.Since(begin)); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		x.log.Info("stopping", "timeout", x.ShutdownTimeout)
		return nil
	case err := <-x.failed:
		return err
	}
}

func (x *process) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errors.New("NATS was not ready in time"))
	defer cancel()
	for _, step := range []func(context.Context) error{
		x.startNATS, x.startStreams, x.startAuthn, x.startSession, x.startManagement, x.startEdges, x.startHTTP,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stop ends in the reverse order of the start, all within the timeout.
func (x *process) stop(ctx context.Context) error {
	end, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), x.ShutdownTimeout, errors.New("shutdown_timeout"))
	defer cancel()
	var errs []error
	for i := len(x.ends) - 1; i >= 0; i-- {
		if err := x.ends[i](end); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (x *process) atEnd(f func(context.Context) error) { x.ends = append(x.ends, f) }

func (x *process) startNATS(context.Context) error {
	if len(x.NATS.URLs) > 0 {
		x.nats.URLs = x.NATS.URLs
		return nil
	}
	s, err := natsx.Start(natsx.Embedded{
		Dir: x.Data.Dir, Host: x.NATS.Host, Port: x.NATS.Port, MQTTPort: x.NATS.MQTTPort, Name: "sluice",
		SyncInterval: x.Data.SyncInterval, SyncAlways: x.Data.Durability == "disk", Log: x.log.With("part", "nats-server"),
	})
	if err != nil {
		return err
	}
	x.server, x.nats.Server = s, s
	x.atEnd(func(context.Context) error { s.Shutdown(); return nil })
	return nil
}

// connect gives a service a connection of its own: a slow one does not hold
// back the others.
func (x *process) connect(ctx context.Context, service string) (*nats.Conn, jetstream.JetStream, error) {
	o := x.nats
	o.Name, o.Log = "sluice "+x.Node+" "+service, x.log
	if service == "edges" {
		o.OnState = x.metrics.NATSConnected
	}
	nc, err := natsx.Connect(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	x.atEnd(func(context.Context) error { nc.Close(); return nil })
	js, err := jetstream.New(nc)
	return nc, js, err
}

func (x *process) startStreams(ctx context.Context) error {
	nc, js, err := x.connect(ctx, "streams")
	if err != nil {
		return err
	}
	defer nc.Close()
	return streams.Ensure(ctx, js, x.roots)
}

// background runs a service until the process ends. One that ends by itself ends
// the process: better restarted whole than half there.
func (x *process) background(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() {
		err := run(ctx)
		if ctx.Err() == nil {
			x.failed <- fmt.Errorf("%s ended: %w", name, err)
		}
		done <- err
	}()
	x.atEnd(func(end context.Context) error {
		cancel(gateway.ErrShutdown)
		select {
		case <-done:
			return nil
		case <-end.Done():
			return fmt.Errorf("%s did not end in time", name)
		}
	})
}

func (x *process) startAuthn(ctx context.Context) error {
	if !x.runs("authn") {
		return nil
	}
	nc, js, err := x.connect(ctx, "authn")
	if err != nil {
		return err
	}
	s, err := authn.New(authn.Deps{NC: nc, JS: js, Log: x.log.With("service", "authn"), Version: version})
	if err != nil {
		return err
	}
	x.background("authn", s.Run)
	return s.Ready(ctx)
}

func (x *process) startSession(ctx context.Context) error {
	if !x.runs("session") {
		return nil
	}
	nc, js, err := x.connect(ctx, "session")
	if err != nil {
		return err
	}
	x.background("session", func(ctx context.Context) error {
		return session.Run(ctx, session.Deps{NC: nc, JS: js, Log: x.log.With("service", "session"), Metrics: x.metrics, Node: x.Node})
	})
	return nil
}

func (x *process) startManagement(ctx context.Context) error {
	if !x.runs("management") {
		return nil
	}
	nc, js, err := x.connect(ctx, "management")
	if err != nil {
		return err
	}
	s, err := management.New(management.Deps{NC: nc, JS: js, Log: x.log.With("service", "management"), Version: version})
	if err != nil {
		return err
	}
	x.background("management", s.Run)
	return nil
}

// startEdges opens the door and the instances of all protocols that run here.
func (x *process) startEdges(ctx context.Context) error {
	var mine []instance
	for _, i := range x.instances {
		if x.runs(i.kind.Proto) {
			mine = append(mine, i)
		}
	}
	if len(mine) == 0 {
		return nil
	}
	nc, js, err := x.connect(ctx, "edges")
	if err != nil {
		return err
	}
	x.node, err = gateway.Open(ctx, gateway.NodeConfig{
		ID: x.Node, Version: version, Services: x.services, Roots: x.roots.Roots,
		NC: nc, JS: js, Log: x.log, Metrics: x.metrics,
	})
	if err != nil {
		return err
	}
	x.atEnd(x.node.Close)
	for _, i := range mine {
		if _, err := x.node.Start(ctx, i.kind, i.name, i.conf); err != nil {
			return err
		}
	}
	return nil
}

func (x *process) startHTTP(context.Context) error {
	if x.HTTP.Bind == "" {
		return nil
	}
	ready := func() error {
		if x.node != nil {
			return x.node.Ready()
		}
		return nil
	}
	s, err := management.ListenHTTP(x.HTTP.Bind, management.HTTPDeps{Metrics: x.metrics.Handler(), Ready: ready, Log: x.log})
	if err != nil {
		return err
	}
	x.HTTP.Bind = s.Addr().String()
	x.background("http", s.Run)
	return nil
}

// banner tells a newcomer where things are and what to try.
func (x *process) banner(w io.Writer, took time.Duration) error {
	var b strings.Builder
	fmt.Fprintf(&b, "sluice %s, node %s, ready in %s\n\n", version, x.Node, took.Round(time.Millisecond))
	row := func(what, where, try string) { fmt.Fprintf(&b, "  %-18s %-22s %s\n", what, where, try) }
	row("LISTENER", "ADDRESS", "TRY")
	stomp := ""
	if x.node != nil {
		for _, st := range x.node.Status() {
			for _, l := range st.Listeners {
				row(st.Proto+"."+st.Instance+" "+l.Type, l.Bind, "")
				if st.Proto == "stomp" && l.Type == "tcp" {
					stomp = l.Bind
				}
			}
		}
	}
	if x.server != nil {
		row("nats", strings.TrimPrefix(x.server.ClientURL(), "nats://"), "sluice tap 'iot/#'")
		if a := x.server.MQTTAddr(); a != "" {
			row("mqtt (nats-server)", a, "mosquitto_sub -V mqttv311 -t 'iot/#'")
		}
	} else {
		row("nats (external)", redacted(x.nats.URLs), "")
	}
	if x.HTTP.Bind != "" {
		row("management", x.HTTP.Bind, "curl http://"+x.HTTP.Bind+"/metrics")
	}
	if stomp != "" {
		host, port, _ := strings.Cut(stomp, ":")
		fmt.Fprintf(&b, "\nSend a message as a STOMP device:\n  printf 'CONNECT\\naccept-version:1.2\\nhost:x\\n\\n\\0SEND\\ndestination:hello/world\\nreceipt:1\\n\\nhi\\0' | nc -q1 %s %s | tr '\\0' '\\n'\n", host, port)
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}

func redacted(urls []string) string {
	if len(urls) == 0 {
		return ""
	}
	u := urls[0]
	if _, host, ok := strings.Cut(u, "@"); ok {
		u = host
	}
	return strings.TrimPrefix(u, "nats://")
}
