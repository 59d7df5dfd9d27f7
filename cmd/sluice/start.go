package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/gateway"
	"sluice/pkg/metrics"
	"sluice/pkg/natsx"
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
	links   links
	ends    []func(context.Context) error // how to end what was started
	failed  chan error                    // a service that ended by itself
}

// startTimeout is how long NATS may take to be there at the start.
const startTimeout = time.Minute

// runPlan starts everything, prints where it listens, and ends it when ctx does.
func runPlan(ctx context.Context, p *plan, o natsx.Options, stdout, stderr io.Writer) (err error) {
	begin := time.Now()
	x := &process{plan: p, log: newLogger(stderr, p.Log), metrics: metrics.New(version), nats: o, failed: make(chan error, 8)}
	x.links.metrics = x.metrics
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
	x.background("memory", returnMemory) //nolint:contextcheck // stop ends it
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
		x.startNATS, x.startStreams, x.startAuthn, x.startSession, x.startTranslator, x.startManagement, x.startEdges, x.startHTTP,
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

// startup has a connection only until the streams are there.
const startup = "startup"

// connect gives a service a connection of its own: a slow one does not hold
// back the others.
func (x *process) connect(ctx context.Context, service string) (*nats.Conn, jetstream.JetStream, error) {
	o := x.nats
	o.Name, o.Log = "sluice "+x.Node+" "+service, x.log
	if service != startup {
		o.OnState = x.links.follow(service)
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
	nc, js, err := x.connect(ctx, startup)
	if err != nil {
		return err
	}
	defer nc.Close()
	return streams.Ensure(ctx, js, x.roots)
}
