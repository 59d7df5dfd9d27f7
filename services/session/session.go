package session

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/metrics"
	"sluice/pkg/natsx"
)

// Config is what a process gives to the service. NC, JS and Node are needed.
type Config struct {
	NC      *nats.Conn
	JS      jetstream.JetStream
	Log     *slog.Logger     // nil = none
	Metrics *metrics.Metrics // nil = none
	Node    string           // of this process, for the lease and for events
	Version string           // a semantic one, for NATS micro; default 0.0.0

	Retx       time.Duration // without an answer a message is sent again; default 10 s
	NakStep    time.Duration // pause after the n-th delivery was refused is n steps; default 1 s
	MaxDeliver int           // refusals until a message is given up; default 5
	Lost       time.Duration // a node without subscription for so long is gone; default 3 s, negative = at once
	LeaseTTL   time.Duration // of the one active owner; default 5 s
	LeaseEvery time.Duration // between its renewals; default 1.5 s
}

// Service is this process's part in the session service.
type Service struct {
	Config
	trouble *trouble
	active  atomic.Bool
	life    *natsx.Life
}

// New makes a service that does nothing until it runs.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Version = cmp.Or(c.Version, "0.0.0")
	c.Retx = cmp.Or(c.Retx, 10*time.Second)
	c.NakStep = cmp.Or(c.NakStep, time.Second)
	c.MaxDeliver = cmp.Or(c.MaxDeliver, 5)
	c.Lost = cmp.Or(c.Lost, 3*time.Second)
	c.LeaseTTL = cmp.Or(c.LeaseTTL, 5*time.Second)
	c.LeaseEvery = cmp.Or(c.LeaseEvery, 1500*time.Millisecond)
	return &Service{Config: c, trouble: newTrouble(c.Log), life: natsx.NewLife("session")}
}

// Active tells whether this process is the one that works.
func (s *Service) Active() bool { return s.active.Load() }

// Run works or stands by until ctx ends: of all processes that run it, the one
// with the lease works. It may be called once.
func (s *Service) Run(ctx context.Context) error { return s.life.Run(ctx, s.run) }

// Ready waits until this process works, or stands by for one that does.
func (s *Service) Ready(ctx context.Context) error { return s.life.Ready(ctx) }

// trouble logs a condition when it begins and when it is over, not every time
// it is met.
type trouble struct {
	log *slog.Logger
	n   atomic.Int32 // conditions that stand: clear is on hot paths

	mu sync.Mutex
	on map[string]bool
}

func newTrouble(log *slog.Logger) *trouble { return &trouble{log: log, on: map[string]bool{}} }

func (t *trouble) report(what string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on[what] && !errors.Is(err, context.Canceled) {
		t.on[what] = true
		t.n.Add(1)
		t.log.Warn("session: not possible now", "what", what, "error", err)
	}
}

func (t *trouble) clear(what string) {
	if t.n.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.on[what] {
		delete(t.on, what)
		t.n.Add(-1)
		t.log.Info("session: possible again", "what", what)
	}
}

// pause waits, or less when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
