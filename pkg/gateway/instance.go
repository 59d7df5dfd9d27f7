package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"sluice/pkg/api"
	"sluice/pkg/listen"
	"sluice/pkg/metrics"
)

// Instance is one configured gateway on this node: stomp.default.
type Instance struct {
	node    *Node
	kind    Kind
	name    string // "default"
	conf    *InstanceConfig
	topical bool // a message protocol
	edge    Edge
	rules   []api.Rule
	metrics *metrics.Instance
	log     *slog.Logger

	mu        sync.Mutex
	listeners []*listening
	started   time.Time
	stopped   bool
}

// listening is a listener of either kind, while its edge serves it.
type listening struct {
	front
	serve func(ctx context.Context, d door, env Env) error
	conf  listen.Config
	end   context.CancelCauseFunc // of serve's ctx
	done  chan struct{}           // serve has returned
}

// front is what listeners for streams and for datagrams have in common.
type front interface {
	Addr() net.Addr
	Current() int
	Close() error
	Shutdown(ctx context.Context, cause error) error
}

// Start opens all listeners of an instance, or none: a bind that is taken shows
// here and leaves nothing behind.
func (n *Node) Start(ctx context.Context, k Kind, name string, c Config) (*Instance, error) {
	i := &Instance{
		node: n, kind: k, name: name, conf: c.Common(), edge: c.Edge(), rules: c.Common().rules(),
		metrics: n.Metrics.Instance(k.Proto, name, k.Frames...), started: time.Now().UTC(),
		log: n.Log.With("proto", k.Proto, "instance", name),
	}
	_, i.topical = c.(Topical)
	n.mu.Lock()
	if n.instances[i.Name()] != nil {
		n.mu.Unlock()
		return nil, api.Errorf(api.Conflict, "start", "instance %s runs already", i.Name())
	}
	n.instances[i.Name()] = i
	n.mu.Unlock()
	if err := i.open(ctx); err != nil {
		n.mu.Lock()
		delete(n.instances, i.Name())
		n.mu.Unlock()
		return nil, err
	}
	return i, nil
}

// Name is proto and name: "stomp.default".
func (i *Instance) Name() string { return i.kind.Proto + "." + i.name }

func (i *Instance) open(ctx context.Context) error {
	var errs []error
	var opened []*listening
	i.conf.Listener.each(func(c listen.Config) { //nolint:contextcheck // to bind an address waits for nobody
		if !c.Enable || !i.conf.Enable {
			return
		}
		l, err := i.listen(c)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: listener.%s.%s: %w", i.Name(), c.Type, c.Name, err))
			return
		}
		opened = append(opened, l)
	})
	if len(errs) > 0 {
		for _, l := range opened {
			_ = l.Close()
		}
		return errors.Join(errs...)
	}
	i.mu.Lock()
	i.listeners = opened
	i.mu.Unlock()
	for _, l := range opened {
		ctx, end := context.WithCancelCause(context.WithoutCancel(ctx))
		l.end = end
		go i.serve(ctx, l)
	}
	return nil
}

// listen binds one listener and says how the edge serves it.
func (i *Instance) listen(c listen.Config) (*listening, error) {
	obs := observer{i.metrics, i.node.Metrics}
	if c.Type == listen.UDP || c.Type == listen.DTLS {
		l, err := listen.OpenPackets(c, i.log, obs)
		if err != nil {
			return nil, err
		}
		serve := func(ctx context.Context, d door, env Env) error {
			i.edge.Packets.ServePackets(ctx, l, d, env)
			return nil
		}
		return &listening{front: l, serve: serve, conf: c, done: make(chan struct{})}, nil
	}
	l, err := listen.Open(c, i.log, obs)
	if err != nil {
		return nil, err
	}
	serve := func(ctx context.Context, d door, env Env) error {
		return l.Serve(context.WithoutCancel(ctx), func(ctx context.Context, c *listen.Conn) {
			i.edge.Stream.Serve(ctx, c, d, env)
		})
	}
	return &listening{front: l, serve: serve, conf: c, done: make(chan struct{})}, nil
}

// serve runs one listener until Stop; the goroutine ends by closing l.done.
func (i *Instance) serve(ctx context.Context, l *listening) {
	defer close(l.done)
	d := i.door(l.conf)
	if err := l.serve(ctx, d, Env{Log: i.log, Metrics: i.metrics, Version: i.node.Version}); err != nil {
		i.log.Warn("listener ended", "listener", d.listener, "error", err)
	}
}

// shutdown tells the devices of one listener goodbye. An edge of datagrams does
// so itself, while it can still send.
func (l *listening) shutdown(ctx context.Context) error {
	defer l.end(ErrShutdown)
	if _, packets := l.front.(*listen.Packets); packets {
		l.end(ErrShutdown)
		select {
		case <-l.done:
		case <-ctx.Done():
		}
	}
	err := l.Shutdown(ctx, ErrShutdown)
	<-l.done
	return err
}

func (i *Instance) door(c listen.Config) door {
	d := door{inst: i, listener: i.listenerID(c), mount: i.conf.Mountpoint, authn: true}
	if c.Mountpoint != nil {
		d.mount = *c.Mountpoint
	}
	if c.EnableAuthn != nil {
		d.authn = *c.EnableAuthn
	}
	return d
}

func (i *Instance) listenerID(c listen.Config) string {
	return i.kind.Proto + ":" + c.Type + ":" + c.Name
}

// Stop closes the listeners first, then tells the devices goodbye and waits for
// their connections; what is left when ctx ends is cut.
func (i *Instance) Stop(ctx context.Context) error {
	i.mu.Lock()
	if i.stopped {
		i.mu.Unlock()
		return nil
	}
	i.stopped = true
	listeners := i.listeners
	i.mu.Unlock()
	var wg sync.WaitGroup
	errs := make([]error, len(listeners))
	for n, l := range listeners {
		wg.Go(func() { errs[n] = l.shutdown(ctx) })
	}
	wg.Wait()
	i.node.mu.Lock()
	delete(i.node.instances, i.Name())
	i.node.mu.Unlock()
	return errors.Join(errs...)
}

// Listeners tells where the instance can be reached.
func (i *Instance) Listeners() []api.ListenerStatus {
	i.mu.Lock()
	defer i.mu.Unlock()
	var out []api.ListenerStatus
	for _, l := range i.listeners {
		out = append(out, api.ListenerStatus{
			ID: i.listenerID(l.conf), Type: l.conf.Type, Name: l.conf.Name, Bind: l.Addr().String(),
			Running: true, MaxConnections: l.conf.MaxConnections, Connections: l.Current(),
		})
	}
	return out
}

// Status is what this node runs.
func (n *Node) Status() []api.InstanceStatus {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := []api.InstanceStatus{}
	for _, i := range n.instances {
		status := "running"
		if !i.conf.Enable {
			status = "stopped"
		}
		out = append(out, api.InstanceStatus{
			Proto: i.kind.Proto, Instance: i.name, Node: n.ID, Status: status,
			StartedAt: i.started, Listeners: i.Listeners(),
		})
	}
	return out
}

// observer counts what a listener sees before there is a client.
type observer struct {
	inst *metrics.Instance
	node *metrics.Metrics
}

func (o observer) Opened()                { o.inst.Opened() }
func (o observer) Closed()                { o.inst.ClosedConn() }
func (o observer) Rejected(reason string) { o.inst.Rejected(reason) }
func (o observer) Panic()                 { o.node.Panic() }
