package wheel

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const tick = 10 * time.Millisecond

// item is a timer with what is expected of it.
type item struct {
	Timer[*item]
	due   time.Time // zero: not set
	fired int
}

func running(t *testing.T, fire func(*item)) (*Wheel[*item], func()) {
	t.Helper()
	w := New(tick, fire)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	return w, func() { cancel(); <-done }
}

// TestRandomHistory: against what a timer promises, over all levels and beyond.
func TestRandomHistory(t *testing.T) {
	spans := []time.Duration{0, tick, 100 * time.Millisecond, 3 * time.Second, time.Minute, time.Hour, 100 * time.Hour, 1000 * 24 * time.Hour}
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			var mu sync.Mutex
			w, stop := running(t, func(i *item) {
				mu.Lock()
				defer mu.Unlock()
				require.False(t, i.due.IsZero(), "fired without being set")
				require.False(t, time.Now().Before(i.due), "early")
				require.LessOrEqual(t, time.Since(i.due), tick, "late")
				i.due = time.Time{}
				i.fired++
			})
			items := make([]item, 50)
			for range 500 {
				i := &items[r.IntN(len(items))]
				mu.Lock()
				if r.IntN(4) == 0 {
					require.Equal(t, !i.due.IsZero(), w.Stop(&i.Timer))
					i.due = time.Time{}
				} else {
					d := spans[r.IntN(len(spans))]
					d += time.Duration(r.Int64N(int64(d) + 1))
					i.due = time.Now().Add(d)
					w.Set(&i.Timer, i, d)
				}
				mu.Unlock()
				time.Sleep(time.Duration(r.Int64N(int64(spans[r.IntN(5)]) + 1)))
				synctest.Wait()
			}
			time.Sleep(3000 * 24 * time.Hour)
			synctest.Wait()
			for i := range items {
				require.True(t, items[i].due.IsZero(), "never fired")
			}
			require.Zero(t, w.Len())
			stop()
		})
	}
}

// TestFireSetsAndStops: what fires may change what is due in the same tick.
func TestFireSetsAndStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *Wheel[*item]
		var other item
		w, stop := running(t, func(i *item) {
			if i.fired++; i.fired < 3 {
				w.Set(&i.Timer, i, time.Second)
			}
			w.Stop(&other.Timer)
		})
		defer stop()
		var it item
		w.Set(&it.Timer, &it, time.Second)
		w.Set(&other.Timer, &other, time.Second)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, 3, it.fired)
		require.Zero(t, other.fired)
		require.False(t, w.Stop(&it.Timer))
	})
}

// TestConcurrentUse is for the race detector.
func TestConcurrentUse(t *testing.T) {
	w, stop := running(t, func(*item) {})
	var users sync.WaitGroup
	for range 4 {
		users.Go(func() {
			items := make([]item, 100)
			for n := range 5000 {
				i := &items[n%len(items)]
				w.Set(&i.Timer, i, time.Duration(n%40)*time.Millisecond)
				if n%3 == 0 {
					w.Stop(&i.Timer)
				}
			}
			for i := range items {
				w.Stop(&items[i].Timer)
			}
		})
	}
	users.Wait()
	require.Zero(t, w.Len())
	stop()
}

func TestNoAllocations(t *testing.T) {
	w := New(tick, func(*item) {})
	var it item
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		w.Set(&it.Timer, &it, time.Minute)
		w.Stop(&it.Timer)
	}))
}

func BenchmarkSetStop(b *testing.B) {
	w := New(tick, func(*item) {})
	items := make([]item, 1<<16)
	for n := 0; b.Loop(); n++ {
		i := &items[n%len(items)]
		w.Set(&i.Timer, i, time.Duration(n%100)*time.Second)
		if n%2 == 0 {
			w.Stop(&i.Timer)
		}
	}
	runtime.KeepAlive(items)
}
