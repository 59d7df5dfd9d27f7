package management

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/natsx"
	"sluice/streams"
)

const (
	nodeTimeout  = 2 * time.Second
	flushTimeout = 5 * time.Second
)

// Deps are what the service needs. The streams and buckets must exist when Run
// begins.
type Deps struct {
	NC          *nats.Conn
	JS          jetstream.JetStream
	Log         *slog.Logger  // nil = none
	Version     string        // of the program
	NodeTimeout time.Duration // for a node to answer; default 2s
}

// Service is one instance of management.
type Service struct {
	Deps
	nodes, clients, bans, sessions jetstream.KeyValue

	life *natsx.Life
}

// New makes a service that answers while Run runs.
func New(d Deps) (*Service, error) {
	if d.NC == nil || d.JS == nil {
		return nil, errors.New("management: NC and JS are needed")
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.NodeTimeout <= 0 {
		d.NodeTimeout = nodeTimeout
	}
	return &Service{Deps: d, life: natsx.NewLife("management")}, nil
}

// Run answers until ctx ends, which is no error. It may be called once.
func (s *Service) Run(ctx context.Context) error { return s.life.Run(ctx, s.run) }

// Ready waits until the service answers. It fails when Run has ended before.
func (s *Service) Ready(ctx context.Context) error { return s.life.Ready(ctx) }

func (s *Service) run(ctx context.Context) (err error) {
	for name, to := range map[string]*jetstream.KeyValue{
		streams.Nodes: &s.nodes, streams.Clients: &s.clients, streams.Banned: &s.bans, streams.Sessions: &s.sessions,
	} {
		if *to, err = s.JS.KeyValue(ctx, name); err != nil {
			return fmt.Errorf("management: %s: %w", name, err)
		}
	}
	svc, err := natsx.Serve(s.NC, "mgmt", s.Version, "what runs, and what operators ask of it")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, svc.Stop()) }()
	if err := s.handle(svc); err != nil {
		return err
	}
	// An endpoint answers once the server has its subscription.
	if err := s.NC.FlushTimeout(flushTimeout); err != nil {
		return fmt.Errorf("management: %w", err)
	}
	s.life.SetReady()
	<-ctx.Done()
	return nil
}

func (s *Service) handle(svc *natsx.Service) error {
	svc.OnInternal(func(verb string, err error) { s.Log.Error("call failed", "verb", verb, "error", err) })
	return errors.Join(
		natsx.Handle(svc, "gateway.list", s.listGateways),
		natsx.Handle(svc, "gateway.lookup", s.lookupGateway),
		natsx.Handle(svc, "clients.list", s.listClients),
		natsx.Handle(svc, "clients.lookup", s.lookupClient),
		natsx.Handle(svc, "clients.kick", s.kick),
		natsx.Handle(svc, "nodes.list", s.listNodes),
		natsx.Handle(svc, "metrics", s.metrics),
		natsx.Handle(svc, "banned.list", s.listBans),
		natsx.Handle(svc, "banned.put", s.putBan),
		natsx.Handle(svc, "banned.delete", s.deleteBan),
		natsx.Handle(svc, "queue.list", s.listQueues),
		natsx.Handle(svc, "queue.show", s.showQueue),
		natsx.Handle(svc, "queue.purge", s.purgeQueue),
		natsx.Handle(svc, "dead.list", s.listDead),
		natsx.Handle(svc, "dead.show", s.showDead),
		natsx.Handle(svc, "dead.retry", s.retryDead),
		natsx.Handle(svc, "dead.purge", s.purgeDead),
	)
}
