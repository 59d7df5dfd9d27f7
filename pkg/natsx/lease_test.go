package natsx

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestLeaseHoldsAndExpires(t *testing.T) {
	nc := connect(t, Options{Server: startServer(t)})
	js, kv := bucket(t, nc, "L")
	l, err := Acquire(t.Context(), js, "L", "node.a", []byte("one"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(t.Context(), js, "L", "node.a", nil, time.Second); !errors.Is(err, ErrHeld) {
		t.Errorf("second holder: %v", err)
	}
	time.Sleep(600 * time.Millisecond)
	before := l.Revision()
	if err := l.Renew(t.Context(), []byte("two")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(600 * time.Millisecond) // 1.2 s old, renewed 0.6 s ago
	e, err := kv.Get(t.Context(), "node.a")
	if err != nil {
		t.Fatalf("renewal did not move the ttl: %v", err)
	}
	if string(e.Value()) != "two" || e.Revision() != l.Revision() || l.Revision() <= before || !l.Valid() {
		t.Errorf("value %q revision %d, lease %d (before %d), valid %t", e.Value(), e.Revision(), l.Revision(), before, l.Valid())
	}
	eventually(t, "expired", func() bool { _, err := kv.Get(t.Context(), "node.a"); return errors.Is(err, jetstream.ErrKeyNotFound) })
	if l.Valid() {
		t.Error("the holder must lose the lease no later than the server drops it")
	}
	if err := l.Renew(t.Context(), nil); !errors.Is(err, ErrLost) {
		t.Errorf("renewal after expiry: %v", err)
	}
	again, err := Acquire(t.Context(), js, "L", "node.a", nil, time.Second) // over the marker of expiry
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Release(t.Context()); err != nil { // must not touch the new holder's key
		t.Error(err)
	}
	if err := again.Renew(t.Context(), nil); err != nil {
		t.Errorf("new holder: %v", err)
	}
}

func TestLeaseTakenAway(t *testing.T) {
	nc := connect(t, Options{Server: startServer(t)})
	js, kv := bucket(t, nc, "L")
	l, err := Acquire(t.Context(), js, "L", "k", nil, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), "k", []byte("thief")); err != nil {
		t.Fatal(err)
	}
	if err := l.Renew(t.Context(), nil); !errors.Is(err, ErrLost) {
		t.Errorf("renewal: %v", err)
	}
	if l.Valid() {
		t.Error("valid after it was lost")
	}
	if err := l.Release(t.Context()); err != nil {
		t.Error(err)
	}
	if e, err := kv.Get(t.Context(), "k"); err != nil || string(e.Value()) != "thief" {
		t.Errorf("release touched another's key: %v %v", e, err)
	}
}

func TestLeaseRelease(t *testing.T) {
	nc := connect(t, Options{Server: startServer(t)})
	js, kv := bucket(t, nc, "L")
	for range 3 { // over the purge marker of the one before
		l, err := Acquire(t.Context(), js, "L", "k", nil, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := l.Release(t.Context()); err != nil {
			t.Errorf("second release: %v", err)
		}
		if err := l.Renew(t.Context(), nil); !errors.Is(err, ErrLost) || l.Valid() {
			t.Errorf("renewal after release: %v", err)
		}
		if _, err := kv.Get(t.Context(), "k"); !errors.Is(err, jetstream.ErrKeyNotFound) {
			t.Errorf("after release: %v", err)
		}
	}
}

// The acknowledgement of a renewal is lost: the next one finds a sequence that
// it does not know, but its own id.
func TestLeaseLostAcknowledgement(t *testing.T) {
	nc := connect(t, Options{Server: startServer(t)})
	js, _ := bucket(t, nc, "L")
	l, err := Acquire(t.Context(), js, "L", "k", nil, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.kv.put(t.Context(), l.id, nil, l.Revision(), l.ttl); err != nil {
		t.Fatal(err)
	}
	if err := l.Renew(t.Context(), nil); err != nil {
		t.Errorf("renewal: %v", err)
	}
	if _, err := l.kv.put(t.Context(), l.id, nil, l.Revision(), l.ttl); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(t.Context()); err != nil {
		t.Errorf("release: %v", err)
	}
	if st, err := l.kv.last(t.Context()); err != nil || st.live {
		t.Errorf("after release: %+v, %v", st, err)
	}
}

func TestLeaseContenders(t *testing.T) {
	nc := connect(t, Options{Server: startServer(t)})
	js, _ := bucket(t, nc, "L")
	var holders, won atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				l, err := Acquire(t.Context(), js, "L", "k", nil, 10*time.Second)
				if errors.Is(err, ErrHeld) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d holders", n)
				}
				won.Add(1)
				if err := l.Renew(t.Context(), nil); err != nil {
					t.Error(err)
				}
				holders.Add(-1)
				if err := l.Release(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if won.Load() == 0 {
		t.Error("nobody ever won")
	}
	t.Logf("%d leases won", won.Load())
}

func TestLeaseKeep(t *testing.T) {
	nc := connect(t, Options{Server: startServer(t)})
	js, kv := bucket(t, nc, "L")
	l, err := Acquire(t.Context(), js, "L", "k", []byte("v"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Keep(ctx, 200*time.Millisecond) }()
	for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if !l.Valid() {
			t.Fatal("not valid while kept")
		}
	}
	if e, err := kv.Get(t.Context(), "k"); err != nil || string(e.Value()) != "v" {
		t.Errorf("kept key: %v, %v", e, err)
	}
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("Keep ended with %v", err)
	}
	if !l.Valid() {
		t.Error("the end of Keep is not the end of the lease")
	}
	go func() { done <- l.Keep(t.Context(), 100*time.Millisecond) }()
	if err := kv.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrLost) || l.Valid() {
		t.Errorf("Keep of a deleted key: %v, valid %t", err, l.Valid())
	}
}

// The server goes away: the lease is given up when its ttl is over, neither
// before nor much later.
func TestLeaseKeepWithoutServer(t *testing.T) {
	s := startServer(t)
	nc := connect(t, Options{URLs: []string{s.ClientURL()}})
	js, _ := bucket(t, nc, "L")
	l, err := Acquire(t.Context(), js, "L", "k", nil, 1500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.Shutdown()
	err = l.Keep(t.Context(), 300*time.Millisecond)
	if took := time.Since(began); !errors.Is(err, ErrLost) || took < time.Second || took > 2500*time.Millisecond {
		t.Errorf("%v after %s", err, took)
	}
}

func TestLeaseRefusesShortTTL(t *testing.T) {
	nc := connect(t, Options{Server: startServer(t)})
	js, _ := bucket(t, nc, "L")
	if _, err := Acquire(t.Context(), js, "L", "k", nil, 999*time.Millisecond); err == nil {
		t.Error("no error")
	}
	if _, err := Acquire(within(t, time.Second), js, "NONE", "k", nil, time.Second); err == nil || errors.Is(err, ErrHeld) {
		t.Errorf("no bucket: %v", err)
	}
}

func BenchmarkLeaseValid(b *testing.B) {
	l := &Lease{start: time.Now(), ttl: time.Hour}
	l.renewed(time.Now(), 1)
	for b.Loop() {
		if !l.Valid() {
			b.Fatal("not valid")
		}
	}
}
