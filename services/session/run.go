package session

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/pkg/ownership"
	"sluice/streams"
)

// run is the life of this process's part. Its goroutines: ownership with one a
// partition, the reader of GW_DATA, the loader of GW_SESSIONS, the workers, the wheel, the sweep, the watch
// of the nodes, and one for each of two subscriptions; run waits for all of them.
func (s *Service) run(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return nil //nolint:nilerr // ctx ended
	}
	ms, err := natsx.Serve(s.NC, "session", s.Version, "sessions, durable subscriptions and their queues")
	if err != nil {
		return err
	}
	defer s.stopService(ms)
	for what, f := range map[string]nats.MsgHandler{".q.*": s.onStored, ".d.>": s.onAnswer} {
		stop, err := s.listen(s.inbox+what, f)
		if err != nil {
			return err
		}
		defer stop()
	}
	// What works for partitions outlives ctx: they drain when it ends.
	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	var busy sync.WaitGroup
	defer busy.Wait()
	defer s.pool.close()
	defer stopWork()
	for range workers {
		busy.Go(func() { s.work(working) })
	}
	busy.Go(func() { s.wheel.Run(working) })
	busy.Go(func() { s.sweep(working) })
	busy.Go(func() { s.reader.run(working) })
	busy.Go(func() { s.loader.run(working) })
	busy.Go(func() { s.watchNodes(working) })
	for range enders {
		busy.Go(func() { s.expire(working) })
	}
	return ownership.Run(ctx, ownership.Config{
		Node: s.Node, Partitions: api.Partitions, TTL: s.LeaseTTL, Every: s.LeaseEvery, Log: s.Log,
		Table: ownership.NewTable(s.JS, streams.Partitions, ""), Work: s.lead, Settled: func(mine int) { s.expect.Store(int64(mine)); s.settled() },
	})
}

// settled says that this process is ready, once every partition has an owner and
// those that this one owns work.
func (s *Service) settled() {
	if mine := s.expect.Load(); mine >= 0 && int64(s.owned.len()) >= mine {
		s.life.SetReady()
	}
}

func (s *Service) stopService(ms *natsx.Service) {
	if err := ms.Stop(); err != nil && !s.NC.IsClosed() {
		s.Log.Warn("session: service not stopped cleanly", "error", err)
	}
}

// listen takes messages until stop, which waits for the last one: what has come
// when stop is called is still handled, so that no request stays unanswered.
func (s *Service) listen(subj string, f nats.MsgHandler) (stop func(), err error) {
	sub, err := s.NC.Subscribe(subj, f)
	if err != nil {
		return nil, fmt.Errorf("session: listen on %s: %w", subj, err)
	}
	_ = sub.SetPendingLimits(-1, -1) // fails only when it is closed
	over := make(chan struct{})
	sub.SetClosedHandler(func(string) { close(over) })
	return func() {
		if sub.Drain() != nil { // the connection is closed, and its goroutines with it
			return
		}
		select {
		case <-over:
		case <-time.After(drainDeletes): // NATS cannot be reached: nothing comes any more
			if sub.Unsubscribe() == nil {
				<-over
			}
		}
	}, nil
}

// owned are the partitions that this process works for.
type owned struct {
	mu sync.RWMutex
	of map[int]*partition
}

func (o *owned) add(p *partition) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.of[p.n] = p
}

func (o *owned) remove(p *partition) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.of, p.n)
}

func (o *owned) len() int {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return len(o.of)
}

func (o *owned) all() []*partition {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return slices.Collect(maps.Values(o.of))
}

const (
	enders     = 8                // that end sleeps and sessions
	gaugeEvery = 10 * time.Second // how often the length of all queues is asked for
	sweepEvery = 250 * time.Millisecond
	saveEvery  = time.Second // how often the positions of partitions are written
)

// sweep is for what needs no precise time: copies that are not answered, the
// positions of the fan-out, and the gauge.
func (s *Service) sweep(ctx context.Context) {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	var gauge, save time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		for range s.lanes.Sweep(time.Now()) {
			s.Metrics.Retry()
		}
		if save -= sweepEvery; save <= 0 {
			save = saveEvery
			s.savePositions(ctx)
		}
		if gauge -= sweepEvery; gauge <= 0 {
			gauge = gaugeEvery
			if info, err := s.queue.state(ctx); err == nil {
				s.Metrics.QueueMessages(int(min(info.State.Msgs, 1<<31-1)))
			}
		}
	}
}
