package run

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// diary notes what happens in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) write(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, s)
}

func (d *diary) check(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.lines, want) {
		t.Errorf("got %q, want %q", d.lines, want)
	}
}

// actor is ready after a second and takes a second to stop.
func (d *diary) add(g *Group, name string) {
	ready := make(chan struct{})
	g.Add(name, func(ctx context.Context) error {
		d.write("+" + name)
		time.Sleep(time.Second)
		close(ready)
		<-ctx.Done()
		time.Sleep(time.Second)
		d.write("-" + name)
		return ctx.Err()
	}, Ready(ready))
}

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		var g Group
		for _, name := range []string{"a", "b", "c"} {
			d.add(&g, name)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("signal"))
		defer cancel()
		began := time.Now()
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
		d.check(t, "+a", "+b", "+c", "-c", "-b", "-a")
		if took := time.Since(began); took != time.Minute+3*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func TestFirstFailureStopsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		var g Group
		boom := errors.New("boom")
		d.add(&g, "a")
		g.Add("b", func(context.Context) error { time.Sleep(5 * time.Second); return boom })
		g.Add("c", func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) })
		g.Add("d", func(ctx context.Context) error { <-ctx.Done(); return errors.New("later") })
		err := g.Run(t.Context())
		if !errors.Is(err, boom) || err.Error() != "b: boom" {
			t.Errorf("error %v", err)
		}
		d.check(t, "+a", "-a")
	})
}

func TestFailureDuringStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		var g Group
		boom := errors.New("boom")
		d.add(&g, "a")
		g.Add("b", func(context.Context) error { return boom }, Ready(make(chan struct{})))
		d.add(&g, "never")
		if err := g.Run(t.Context()); !errors.Is(err, boom) {
			t.Errorf("error %v", err)
		}
		d.check(t, "+a", "-a")
	})
}

func TestStopDuringStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		var g Group
		d.add(&g, "a")
		d.add(&g, "never")
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
		d.check(t, "+a", "-a")
	})
}

func TestActorThatDoesNotStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		g := Group{Timeout: 3 * time.Second}
		d.add(&g, "a")
		g.Add("deaf", func(context.Context) error { time.Sleep(time.Hour); return nil })
		d.add(&g, "c")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		err := g.Run(ctx)
		if err == nil || !strings.Contains(err.Error(), "deaf did not stop within 3s") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(began); took != 15*time.Second {
			t.Errorf("took %s", took)
		}
		d.check(t, "+a", "+c", "-c", "-a")
		time.Sleep(time.Hour) // let the deaf one go
	})
}

func TestReturnOfNilStopsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d diary
		var g Group
		d.add(&g, "a")
		g.Add("b", func(context.Context) error { return nil })
		if err := g.Run(t.Context()); err != nil {
			t.Error(err)
		}
		d.check(t, "+a", "-a")
	})
}

func TestFailureWhileStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		boom := errors.New("boom")
		g.Add("a", func(ctx context.Context) error { <-ctx.Done(); return boom })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Run(ctx); !errors.Is(err, boom) {
			t.Errorf("error %v", err)
		}
	})
}

func TestEmptyGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
	})
}
