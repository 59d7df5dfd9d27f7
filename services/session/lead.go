package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/natsx"
	"sluice/streams"
)

const (
	leaseKey = "session" // in GW_PARTITIONS
	// standbyCheck is for when the watch of the key says nothing: it broke.
	standbyCheck   = 2 * time.Second
	releaseTimeout = 2 * time.Second
)

var (
	errLeaseOver = errors.New("session: the lease is over")
	errTermOver  = errors.New("session: the term is over")
)

// run is one attempt at the lease after the other.
func (s *Service) run(ctx context.Context) error {
	for ctx.Err() == nil {
		lease, err := natsx.Acquire(ctx, s.JS, streams.Partitions, leaseKey, []byte(s.Node), s.LeaseTTL)
		switch {
		case err == nil:
			s.trouble.clear("lease")
			err = s.lead(ctx, lease)
			if ctx.Err() == nil {
				s.Log.Warn("session: not active any more", "error", err)
				pause(ctx, hurry)
			}
		case errors.Is(err, natsx.ErrHeld):
			s.trouble.clear("lease")
			s.life.SetReady()
			s.standby(ctx)
		default:
			s.trouble.report("lease", err)
			pause(ctx, hurry)
		}
	}
	return nil
}

// lead is one term: it ends with ctx, with the lease, or when its start failed.
func (s *Service) lead(ctx context.Context, lease *natsx.Lease) error {
	held, cancel := context.WithCancelCause(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() { cancel(lease.Keep(held, s.LeaseEvery)) })
	err := newTerm(s, lease).run(held)
	cancel(errTermOver)
	keeping.Wait()
	last, done := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer done()
	return errors.Join(err, lease.Release(last))
}

// standby returns when the lease may be free.
func (s *Service) standby(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, standbyCheck)
	defer cancel()
	if err := s.watchFree(ctx); err != nil {
		s.trouble.report("watch the lease", err)
		<-ctx.Done()
	}
}

func (s *Service) watchFree(ctx context.Context) error {
	kv, err := s.JS.KeyValue(ctx, streams.Partitions)
	if err != nil {
		return fmt.Errorf("session: %s: %w", streams.Partitions, err)
	}
	w, err := kv.Watch(ctx, leaseKey)
	if err != nil {
		return fmt.Errorf("session: watch %s: %w", leaseKey, err)
	}
	defer func() { _ = w.Stop() }() // fails only when it has ended already
	for held := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return nil
			case e == nil: // all there is has been told
				if !held {
					return nil
				}
			case e.Operation() != jetstream.KeyValuePut:
				return nil
			default:
				held = true
			}
		}
	}
}
