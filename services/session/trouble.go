package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

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
