package translator

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/metrics"
	"sluice/pkg/natsx"
	"sluice/pkg/ownership"
	"sluice/streams"
)

// Config is what a process gives to the service. NC, JS and Node are needed.
type Config struct {
	NC        *nats.Conn
	JS        jetstream.JetStream
	Log       *slog.Logger     // nil = none
	Metrics   *metrics.Metrics // nil = none
	Node      string           // of this process, for the leases
	Topics    []string         // subject filters of what it publishes, to look there after a restart; none = everywhere
	Downlinks []Downlink       // where commands come from

	LeaseTTL   time.Duration // of what this process owns; default 6 s
	LeaseEvery time.Duration // between renewals; default 1.5 s
	SaveEvery  time.Duration // between checkpoints; default 500 ms
}

// Service is this process's part in the translator.
type Service struct {
	Config
	life      *natsx.Life
	positions jetstream.KeyValue
	stored    newest

	mu    sync.Mutex
	works map[int]bool // partitions
	want  int          // that this process has when all have an owner; -1 = not yet known
}

// New makes a service that does nothing until it runs.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.LeaseTTL = cmp.Or(c.LeaseTTL, 6*time.Second)
	c.LeaseEvery = cmp.Or(c.LeaseEvery, 1500*time.Millisecond)
	c.SaveEvery = cmp.Or(c.SaveEvery, 500*time.Millisecond)
	return &Service{Config: c, life: natsx.NewLife("translator"), works: map[int]bool{}, want: -1}
}

// Run works until ctx ends. It may be called once.
func (s *Service) Run(ctx context.Context) error { return s.life.Run(ctx, s.run) }

// Ready waits until every partition has an owner, and those of this process work.
func (s *Service) Ready(ctx context.Context) error { return s.life.Ready(ctx) }

// Owned is the number of partitions that this process works for.
func (s *Service) Owned() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.works)
}

func (s *Service) run(ctx context.Context) (err error) {
	if s.positions, err = s.JS.KeyValue(ctx, streams.Partitions); err != nil {
		return fmt.Errorf("translator: %s: %w", streams.Partitions, err)
	}
	data, err := s.JS.Stream(ctx, streams.Data)
	if err != nil {
		return fmt.Errorf("translator: %s: %w", streams.Data, err)
	}
	s.stored.raise(data.CachedInfo().State.LastSeq)
	return ownership.Run(ctx, ownership.Config{
		Node: s.Node, Partitions: api.Partitions, TTL: s.LeaseTTL, Every: s.LeaseEvery, Log: s.Log,
		Table: ownership.NewTable(s.JS, streams.Partitions, leasePrefix), Work: s.lead,
		Settled: func(mine int) {
			s.mu.Lock()
			s.want = mine
			s.mu.Unlock()
			s.settled()
		},
	})
}

// leasePrefix begins the translator's keys in GW_PARTITIONS.
const leasePrefix = "tr."

// began notes that a partition is worked for, and gone that it is not any more.
func (s *Service) began(n int) {
	s.mu.Lock()
	s.works[n] = true
	s.mu.Unlock()
	s.settled()
}

func (s *Service) gone(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.works, n)
}

func (s *Service) settled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.want >= 0 && len(s.works) >= s.want {
		s.life.SetReady()
	}
}

// lead works for one partition until its lease ends. After a failure that is not
// the lease's it begins again at the checkpoint.
func (s *Service) lead(ctx context.Context, n int, lease ownership.Lease) error {
	defer s.gone(n)
	if n == 0 && len(s.Downlinks) > 0 {
		over := make(chan struct{})
		defer func() { <-over }()
		go func() {
			defer close(over)
			(&commands{Service: s}).run(ctx)
		}()
	}
	for ctx.Err() == nil {
		p := newPartition(s, n, lease)
		err := p.run(ctx)
		if ctx.Err() == nil {
			s.Log.Warn("translator: a partition begins again", "partition", n, "error", err)
			pause(ctx, againAfter)
		}
	}
	return context.Cause(ctx)
}

const againAfter = 500 * time.Millisecond

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
