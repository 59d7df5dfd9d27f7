package main

import (
	"context"
	"errors"
	"fmt"

	"sluice/pkg/gateway"
	"sluice/services/authn"
	"sluice/services/management"
	"sluice/services/session"
	"sluice/services/translator"
)

// background runs a service until the process ends. One that ends by itself ends
// the process: better restarted whole than half there.
func (x *process) background(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() {
		err := run(ctx)
		if ctx.Err() == nil {
			x.failed <- errors.Join(fmt.Errorf("%s ended by itself", name), err)
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
	x.background("authn", s.Run) //nolint:contextcheck // it outlives the start; stop ends it
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
	s := session.New(session.Config{
		NC: nc, JS: js, Log: x.log.With("service", "session"), Metrics: x.metrics, Node: x.Node, Version: version,
	})
	x.background("session", s.Run) //nolint:contextcheck // it outlives the start; stop ends it
	return s.Ready(ctx)
}

// startTranslator is for message protocols; where none is configured it waits for
// frames of other processes' instances.
func (x *process) startTranslator(ctx context.Context) error {
	if !x.runs("translator") {
		return nil
	}
	nc, js, err := x.connect(ctx, "translator")
	if err != nil {
		return err
	}
	s := translator.New(translator.Config{
		NC: nc, JS: js, Log: x.log.With("service", "translator"), Metrics: x.metrics, Node: x.Node, Topics: x.roots.Reports,
		Downlinks: x.downlinks(),
	})
	x.background("translator", s.Run) //nolint:contextcheck // it outlives the start; stop ends it
	return s.Ready(ctx)
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
	x.background("management", s.Run) //nolint:contextcheck // it outlives the start; stop ends it
	return s.Ready(ctx)
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
	s, err := management.ListenHTTP(x.HTTP.Bind, management.HTTPDeps{Metrics: x.metrics.Handler(), Ready: x.ready, Log: x.log})
	if err != nil {
		return err
	}
	x.HTTP.Bind = s.Addr().String()
	x.background("http", s.Run) //nolint:contextcheck // it outlives the start; stop ends it
	return nil
}

// ready tells why the process cannot do its part now; nil when it can.
func (x *process) ready() error {
	err := x.links.check()
	if x.node != nil {
		err = errors.Join(err, x.node.Ready())
	}
	return err
}
