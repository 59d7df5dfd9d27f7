package natsx

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
)

type ask struct {
	N int `json:"n"`
}

type reply struct {
	Text string `json:"text"`
}

func serve(t *testing.T, nc *nats.Conn, verb string, h func(context.Context, ask) (reply, error)) *Service {
	t.Helper()
	s, err := Serve(nc, "try", "1.2.3", "for tests")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	if err := Handle(s, verb, h); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCall(t *testing.T) {
	nc := connect(t, Options{Server: startServer(t)})
	serve(t, nc, "twice.told", func(_ context.Context, a ask) (reply, error) {
		return reply{strings.Repeat("x", a.N)}, nil
	})
	r, err := Call[ask, reply](t.Context(), nc, "gw.svc.try.twice.told", ask{3})
	if err != nil || r.Text != "xxx" {
		t.Errorf("%+v, %v", r, err)
	}
	m, err := nc.Request("gw.svc.try.twice.told", nil, time.Second) // no body = zero value
	if err != nil || string(m.Data) != `{"text":""}` {
		t.Errorf("%+v, %v", m, err)
	}
	_, err = Call[[]int, reply](t.Context(), nc, "gw.svc.try.twice.told", []int{1})
	if api.KindOf(err) != api.Invalid {
		t.Errorf("bad request: %v", err)
	}
	_, err = Call[ask, reply](t.Context(), nc, "gw.svc.try.twice.told", ask{2 << 20})
	if api.KindOf(err) != api.TooLarge {
		t.Errorf("large answer: %v", err)
	}
	_, err = Call[string, reply](t.Context(), nc, "gw.svc.try.twice.told", strings.Repeat("x", 2<<20))
	if api.KindOf(err) != api.TooLarge {
		t.Errorf("large request: %v", err)
	}
}

func TestErrorsTravel(t *testing.T) {
	nc := connect(t, Options{Server: startServer(t)})
	kinds := api.Kinds()
	var mu sync.Mutex
	var seen []string
	s, err := Serve(nc, "fail", "0.1.0", "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	s.OnInternal(func(verb string, err error) { mu.Lock(); defer mu.Unlock(); seen = append(seen, verb+": "+err.Error()) })
	err = Handle(s, "kind", func(_ context.Context, a ask) (reply, error) {
		switch {
		case a.N < len(kinds):
			return reply{}, api.Errorf(kinds[a.N], "do", "two\nlines: %w", errors.New("cause"))
		case a.N == 100:
			return reply{}, errors.New("foreign secret")
		}
		panic("ouch")
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range kinds {
		_, err := Call[ask, reply](t.Context(), nc, "gw.svc.fail.kind", ask{i})
		want := "fail.kind: two lines: cause"
		if k == api.Internal {
			want = "fail.kind: internal error"
		}
		if api.KindOf(err) != k || err.Error() != want {
			t.Errorf("%s: got %s, %q", k, api.KindOf(err), err)
		}
	}
	for _, n := range []int{100, 101} {
		_, err := Call[ask, reply](t.Context(), nc, "gw.svc.fail.kind", ask{n})
		if api.KindOf(err) != api.Internal || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "ouch") {
			t.Errorf("%d: %v", n, err)
		}
	}
	m, err := nc.Request("$SRV.STATS.fail", nil, time.Second)
	if err != nil || !strings.Contains(string(m.Data), `"data":{"calls":10,"errors":10,`) {
		t.Errorf("statistics: %v, %s", err, m.Data)
	}
	eventually(t, "internal errors reported", func() bool { mu.Lock(); defer mu.Unlock(); return len(seen) == 3 })
	if !strings.Contains(seen[1], "foreign secret") || !strings.Contains(seen[2], "panic: ouch") {
		t.Errorf("reported: %q", seen)
	}
}

func TestCallUnavailable(t *testing.T) {
	s := startServer(t)
	nc := connect(t, Options{Server: s})
	_, err := Call[ask, reply](t.Context(), nc, "gw.svc.no.body", ask{})
	if api.KindOf(err) != api.Unavailable || !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("nobody: %v", err)
	}
	ended := make(chan struct{})
	serve(t, nc, "slow", func(ctx context.Context, _ ask) (reply, error) {
		<-ctx.Done()
		close(ended)
		time.Sleep(50 * time.Millisecond) // let the caller be the first to give up
		return reply{}, nil
	})
	_, err = Call[ask, reply](within(t, 100*time.Millisecond), nc, "gw.svc.try.slow", ask{})
	if api.KindOf(err) != api.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("slow: %v", err)
	}
	select {
	case <-ended: // the callee knew how long its caller waits
	case <-time.After(2 * time.Second):
		t.Error("the handler's context did not end with its caller's")
	}
	s.Shutdown()
	eventually(t, "disconnected", func() bool { return !nc.IsConnected() })
	if _, err = Call[ask, reply](t.Context(), nc, "gw.svc.try.slow", ask{}); api.KindOf(err) != api.Unavailable {
		t.Errorf("without a server: %v", err)
	}
}

func TestSlowCallsDoNotBlock(t *testing.T) {
	nc := connect(t, Options{Server: startServer(t)})
	release := make(chan struct{})
	var now, most atomic.Int32
	serve(t, nc, "v", func(_ context.Context, a ask) (reply, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if a.N > 0 {
			<-release
		}
		return reply{}, nil
	})
	var wg sync.WaitGroup
	call := func(n int) {
		if _, err := Call[ask, reply](t.Context(), nc, "gw.svc.try.v", ask{n}); err != nil {
			t.Error(err)
		}
	}
	for range running - 1 {
		wg.Go(func() { call(1) })
	}
	eventually(t, "slow ones run", func() bool { return now.Load() == running-1 })
	call(0) // passes beside them
	for range 2 * running {
		wg.Go(func() { call(1) })
	}
	eventually(t, "all places taken", func() bool { return now.Load() == running })
	close(release)
	wg.Wait()
	if m := most.Load(); m != running {
		t.Errorf("%d at a time", m)
	}
}

func TestBusy(t *testing.T) {
	nc := connect(t, Options{Server: startServer(t)})
	release := make(chan struct{})
	serve(t, nc, "v", func(context.Context, ask) (reply, error) { <-release; return reply{}, nil })
	var busy, ok atomic.Int32
	var wg sync.WaitGroup
	for range running + waiting + 10 {
		wg.Go(func() {
			switch _, err := Call[ask, reply](within(t, 20*time.Second), nc, "gw.svc.try.v", ask{}); api.KindOf(err) {
			case api.Busy:
				busy.Add(1)
			default:
				if err != nil {
					t.Error(err)
				}
				ok.Add(1)
			}
		})
	}
	eventually(t, "busy answers", func() bool { return busy.Load() == 10 })
	close(release)
	wg.Wait()
	if ok.Load() != running+waiting {
		t.Errorf("%d calls went through", ok.Load())
	}
}

func TestStopWaitsForCalls(t *testing.T) {
	nc := connect(t, Options{Server: startServer(t)})
	in := make(chan struct{})
	var ended atomic.Bool
	s := serve(t, nc, "v", func(context.Context, ask) (reply, error) {
		close(in)
		time.Sleep(200 * time.Millisecond)
		ended.Store(true)
		return reply{"done"}, nil
	})
	got := make(chan error, 1)
	go func() {
		_, err := Call[ask, reply](t.Context(), nc, "gw.svc.try.v", ask{})
		got <- err
	}()
	<-in
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if !ended.Load() {
		t.Error("Stop returned before the call")
	}
	if err := <-got; err != nil {
		t.Errorf("the call: %v", err)
	}
	if _, err := Call[ask, reply](within(t, time.Second), nc, "gw.svc.try.v", ask{}); api.KindOf(err) != api.Unavailable {
		t.Errorf("after Stop: %v", err)
	}
}

func TestServeRefusesBadNames(t *testing.T) {
	nc := connect(t, Options{Server: startServer(t)})
	if _, err := Serve(nc, "a b", "1.0.0", ""); err == nil {
		t.Error("bad name taken")
	}
}
