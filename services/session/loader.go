package session

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// loader reads the records of partitions. Those that come at the same time are
// read at once: a server that picks a million records out for each of 64
// partitions has far more to do than one that sends all of them once.
type loader struct {
	s    *Service
	wake chan struct{}

	mu      sync.Mutex
	waiting []*loading
}

// loading is a partition that wants its records.
type loading struct {
	p    *partition
	ctx  context.Context // of its lease
	done chan error
}

const (
	gather    = 20 * time.Millisecond // for others that come
	loadAll   = 8                     // partitions from which on everything is read
	loadTries = 10                    // for replicas that are late
	loadPause = 100 * time.Millisecond
)

func newLoader(s *Service) *loader { return &loader{s: s, wake: make(chan struct{}, 1)} }

// load returns when all records of a partition are in its memory.
func (l *loader) load(ctx context.Context, p *partition) error {
	one := &loading{p: p, ctx: ctx, done: make(chan error, 1)}
	l.mu.Lock()
	l.waiting = append(l.waiting, one)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return <-one.done // also when ctx ends: until then the loader writes into it
}

// run reads for those that wait until ctx ends.
func (l *loader) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
		case <-l.wake:
			pause(ctx, gather)
		}
		l.mu.Lock()
		batch := l.waiting
		l.waiting = nil
		l.mu.Unlock()
		if len(batch) > 0 {
			err := l.read(ctx, batch)
			for _, one := range batch {
				one.done <- errors.Join(err, context.Cause(one.ctx))
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// read may be served by a replica that lacks the last writes of the owner before
// us: so with replicas it is repeated until it shows nothing new, for a second at
// most.
func (l *loader) read(ctx context.Context, batch []*loading) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	info, err := l.s.records.state(ctx)
	if err != nil {
		return err
	}
	for range loadTries {
		fresh, err := l.once(ctx, batch)
		if err != nil {
			return err
		}
		if info.Config.Replicas <= 1 || fresh == 0 {
			return nil
		}
		pause(ctx, loadPause)
	}
	return nil
}

// once reads everything there is. The records of one partition are all taken by
// the same goroutine.
func (l *loader) once(ctx context.Context, batch []*loading) (fresh int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := l.s.sessions.WatchFiltered(ctx, keysOf(batch))
	if err != nil {
		return 0, fmt.Errorf("session: load: %w", err)
	}
	defer func() { _ = w.Stop() }() // fails only when it has ended already
	wanted := map[string]*loading{}
	for _, one := range batch {
		wanted[strconv.Itoa(one.p.n)] = one
	}
	var news atomic.Int64
	var takers sync.WaitGroup
	lanes := make([]chan record, runtime.GOMAXPROCS(0))
	for i := range lanes {
		lanes[i] = make(chan record, 256)
		takers.Go(func() {
			for r := range lanes[i] {
				if r.ctx.Err() == nil && r.p.loadOne(r.Key(), r.Value(), r.Revision()) {
					news.Add(1)
				}
			}
		})
	}
	err = l.spread(ctx, w, wanted, lanes)
	for _, lane := range lanes {
		close(lane)
	}
	takers.Wait()
	return news.Load(), err
}

// record is one of GW_SESSIONS, for its partition.
type record struct {
	jetstream.KeyValueEntry
	*loading
}

// spread gives each record to the goroutine of its partition.
func (l *loader) spread(ctx context.Context, w jetstream.KeyWatcher, wanted map[string]*loading, lanes []chan record) error {
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e, ok := <-w.Updates():
			if !ok {
				return errors.New("session: load: the watch ended")
			}
			if e == nil || n%1024 == 1023 && given(wanted) {
				return nil
			}
			partition, _, _ := strings.Cut(e.Key(), ".")
			if one := wanted[partition]; one != nil && e.Operation() == jetstream.KeyValuePut {
				lanes[one.p.n%len(lanes)] <- record{e, one}
			}
		}
	}
}

// given tells whether nobody waits any more: all leases are over.
func given(wanted map[string]*loading) bool {
	for _, one := range wanted {
		if one.ctx.Err() == nil {
			return false
		}
	}
	return true
}

func keysOf(batch []*loading) (keys []string) {
	if len(batch) >= loadAll {
		return []string{">"}
	}
	for _, one := range batch {
		keys = append(keys, strconv.Itoa(one.p.n)+".>")
	}
	return keys
}
