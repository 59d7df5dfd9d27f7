package natsx

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrHeld says that somebody else has the lease.
	ErrHeld = errors.New("natsx: lease is held by another")
	// ErrLost says that the lease is not ours any more, and never will be again:
	// to go on, stop what it covered and acquire a new one.
	ErrLost = errors.New("natsx: lease is lost")
)

// minTTL is the resolution of TTLs in the server.
const minTTL = time.Second

// Lease is a KV key that lives while its holder renews it. Whoever holds it
// trusts its own clock first: the lease ends for the holder, counted from before
// the last successful renewal was sent, earlier than for the server, which
// counts from when it stored it.
//
// The clock is the monotonic one, which goes on while a process is stopped but
// not while a machine sleeps. After such a sleep [Lease.Valid] may be true until
// the next renewal; writes that must not happen then carry the revision as well.
type Lease struct {
	kv    keys
	id    string // of this holding: a stored value of ours is known by it
	ttl   time.Duration
	start time.Time     // what until counts from
	until atomic.Int64  // nanoseconds after start
	rev   atomic.Uint64 // sequence of our last write
	gone  atomic.Bool   // lost or released: never valid again

	mu    sync.Mutex // one write at a time
	value []byte
}

// Acquire makes the key with its value, or fails with [ErrHeld] when it lives.
// ttl is at least a second. When the server stored the key but its answer was
// lost, Acquire fails and the key stands until its ttl is over.
func Acquire(ctx context.Context, js jetstream.JetStream, bucket, key string, value []byte, ttl time.Duration) (*Lease, error) {
	if ttl < minTTL {
		return nil, fmt.Errorf("natsx: lease %s: ttl %s is less than %s", key, ttl, minTTL)
	}
	l := &Lease{kv: keys{js, bucket, key}, id: NewID(), ttl: ttl, start: time.Now(), value: value}
	var expect uint64
	for range casTries {
		sent := time.Now()
		seq, err := l.kv.put(ctx, l.id, value, expect, ttl)
		if err == nil {
			l.renewed(sent, seq)
			return l, nil
		}
		if !wrongSequence(err) {
			return nil, fmt.Errorf("natsx: acquire lease %s: %w", key, err)
		}
		now, err := l.kv.last(ctx)
		if err != nil {
			return nil, fmt.Errorf("natsx: acquire lease %s: %w", key, err)
		}
		if now.live {
			return nil, ErrHeld
		}
		expect = now.seq // a marker of the one before; 0 when even that is gone
	}
	return nil, ErrHeld // another is always faster
}

// Revision is the KV revision of our last write: a fencing token that grows
// with every renewal and every holder.
func (l *Lease) Revision() uint64 { return l.rev.Load() }

// Valid tells whether the last successful renewal still covers this moment. It
// is cheap and meant for hot paths.
func (l *Lease) Valid() bool {
	return int64(time.Since(l.start)) < l.until.Load() && !l.gone.Load()
}

// Renew writes the key again with its full ttl; a nil value keeps the last one.
// It fails with [ErrLost] when the key is gone or another's, or when our own
// clock says that it must be; any other error leaves the lease as it was.
//
// It does not use KV Update, which drops the ttl of the key.
func (l *Lease) Renew(ctx context.Context, value []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.Valid() {
		l.gone.Store(true)
		return ErrLost
	}
	if value != nil {
		l.value = value
	}
	var sent time.Time
	seq, err := l.swap(ctx, func(expect uint64) (uint64, error) {
		sent = time.Now()
		return l.kv.put(ctx, l.id, l.value, expect, l.ttl)
	})
	switch {
	case err == nil:
		l.renewed(sent, seq)
		return nil
	case errors.Is(err, ErrLost):
		l.gone.Store(true)
		return ErrLost
	}
	return fmt.Errorf("natsx: renew lease %s: %w", l.kv.key, err)
}

// Release deletes the key if it is still ours; it is no error when it is gone
// already. [Lease.Valid] is false from the start, for another may have the lease
// before the answer is back.
func (l *Lease) Release(ctx context.Context) error {
	l.gone.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.swap(ctx, func(expect uint64) (uint64, error) { return l.kv.purge(ctx, expect) })
	if err != nil && !errors.Is(err, ErrLost) {
		return fmt.Errorf("natsx: release lease %s: %w", l.kv.key, err)
	}
	return nil
}

// swap writes with our revision as the expected one. A refusal may be our own
// doing: a write whose acknowledgement was lost in a timeout. So the key is read
// from the stream's leader, and taken for ours only with our id in it.
func (l *Lease) swap(ctx context.Context, write func(expect uint64) (uint64, error)) (uint64, error) {
	for range casTries {
		seq, err := write(l.rev.Load())
		if !wrongSequence(err) {
			return seq, err
		}
		now, err := l.kv.last(ctx)
		if err != nil {
			return 0, err
		}
		if !now.live || now.id != l.id {
			return 0, ErrLost
		}
		l.rev.Store(now.seq)
	}
	return 0, errors.New("our own writes are still under way")
}

func (l *Lease) renewed(sent time.Time, seq uint64) {
	l.rev.Store(seq)
	l.until.Store(int64(sent.Sub(l.start) + l.ttl))
}

// Keep renews until ctx ends, and returns its cause, or until the lease is lost,
// and returns [ErrLost]: the key gone or another's, or no renewal succeeded for
// a ttl. A process that was paused for longer finds that out before it does
// anything else. every is ttl/3 when it is not positive or over ttl/2; after a
// failure the next attempt comes sooner.
func (l *Lease) Keep(ctx context.Context, every time.Duration) error {
	if every <= 0 || every > l.ttl/2 {
		every = l.ttl / 3
	}
	retry := min(every, max(l.ttl/20, 50*time.Millisecond))
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		}
		err := l.attempt(ctx)
		switch {
		case errors.Is(err, ErrLost):
			return ErrLost
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			timer.Reset(retry)
		default:
			timer.Reset(every)
		}
	}
}

// attempt is one renewal that gives up early enough for a second one.
func (l *Lease) attempt(ctx context.Context) error {
	left := time.Duration(l.until.Load()) - time.Since(l.start)
	ctx, cancel := context.WithTimeout(ctx, min(left, max(l.ttl/4, 250*time.Millisecond)))
	defer cancel()
	return l.Renew(ctx, nil)
}
