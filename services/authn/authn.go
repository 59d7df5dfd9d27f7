package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/natsx"
	"sluice/streams"
)

const flushTimeout = 5 * time.Second

// Deps are what the service needs. The streams and buckets must exist when Run
// begins.
type Deps struct {
	NC      *nats.Conn
	JS      jetstream.JetStream
	Log     *slog.Logger // nil = none
	Version string       // of the program
}

// Service is one instance of authn.
type Service struct {
	Deps
	kv      jetstream.KeyValue
	users   *users
	proofs  *proofs
	budgets *budgets
	dummy   passwordHash
	turns   chan struct{}

	life *natsx.Life
}

// New makes a service that answers while Run runs.
func New(d Deps) (*Service, error) {
	if d.NC == nil || d.JS == nil {
		return nil, errors.New("authn: NC and JS are needed")
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		Deps:    d,
		users:   newUsers(d.Log),
		proofs:  newProofs(),
		budgets: newBudgets(),
		dummy:   ownHash(),
		turns:   make(chan struct{}, runtime.GOMAXPROCS(0)),
		life:    natsx.NewLife("authn"),
	}, nil
}

// Run answers until ctx ends, which is no error. It may be called once.
func (s *Service) Run(ctx context.Context) error { return s.life.Run(ctx, s.run) }

// Ready waits until the service answers. It fails when Run has ended before.
func (s *Service) Ready(ctx context.Context) error { return s.life.Ready(ctx) }

func (s *Service) run(ctx context.Context) (err error) {
	if s.kv, err = s.JS.KeyValue(ctx, streams.Users); err != nil {
		return fmt.Errorf("authn: %s: %w", streams.Users, err)
	}
	w, err := s.kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("authn: watch %s: %w", streams.Users, err)
	}
	defer func() { _ = w.Stop() }() // fails only when the connection is gone
	if err := s.users.load(ctx, w); err != nil {
		return fmt.Errorf("authn: load users: %w", err)
	}
	svc, err := natsx.Serve(s.NC, "authn", s.Version, "who may come in")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, svc.Stop()) }()
	if err := s.handle(svc); err != nil {
		return err
	}
	// An endpoint answers once the server has its subscription.
	if err := s.NC.FlushTimeout(flushTimeout); err != nil {
		return fmt.Errorf("authn: %w", err)
	}
	s.life.SetReady()
	return s.users.follow(ctx, w)
}

func (s *Service) handle(svc *natsx.Service) error {
	svc.OnInternal(func(verb string, err error) { s.Log.Error("call failed", "verb", verb, "error", err) })
	return errors.Join(
		natsx.Handle(svc, "check", s.check),
		natsx.Handle(svc, "user.put", s.put),
		natsx.Handle(svc, "user.delete", s.remove),
		natsx.Handle(svc, "user.list", s.list),
	)
}
