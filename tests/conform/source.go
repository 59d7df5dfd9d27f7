package conform

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// try is one publish of a source, and what its device was told.
type try struct {
	n            int
	began, ended time.Time
	err          error
}

// pause between two publishes of a source, which must leave time for others.
const pause = 3 * time.Millisecond

// source is a device that publishes 0, 1, 2 ... on one topic. It never sends a number
// again; when its connection ends it comes again.
type source struct {
	room  *Room
	topic string
	stop  context.CancelFunc
	done  chan struct{}

	mu    sync.Mutex
	tries []try
}

func (r *Room) source(t *testing.T, node int, topic string) *source {
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	s := &source{room: r, topic: topic, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.run(ctx, r.addr[node])
	}()
	t.Cleanup(s.end)
	return s
}

// end stops it and waits.
func (s *source) end() {
	s.stop()
	<-s.done
}

func (s *source) run(ctx context.Context, addr string) {
	next := 0
	for ctx.Err() == nil {
		one, cancel := context.WithTimeout(ctx, patience)
		d, err := s.room.stage.Dial(one, addr, s.room.login("source"))
		if err == nil {
			next = s.publish(one, d, next)
			if !s.room.stage.Can.Connection { // without a word it would stay for ever
				bye, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
				_ = d.Close(bye) // it may have been sent away before
				done()
			}
			d.Cut()
		}
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// publish goes on until the first failure and returns the next number.
func (s *source) publish(ctx context.Context, d Device, n int) int {
	for ; ctx.Err() == nil; n++ {
		t := try{n: n, began: time.Now()}
		t.err = d.Publish(ctx, Publication{Topic: s.topic, Payload: strconv.Itoa(n)})
		t.ended = time.Now()
		s.mu.Lock()
		s.tries = append(s.tries, t)
		s.mu.Unlock()
		if t.err != nil {
			return n + 1
		}
		<-time.After(pause)
	}
	return n
}

// history is a copy of what was tried.
func (s *source) history() []try {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]try(nil), s.tries...)
}

// confirmed are the numbers that the device was told are stored.
func (s *source) confirmed() (ns []string) {
	for _, t := range s.history() {
		if t.err == nil {
			ns = append(ns, strconv.Itoa(t.n))
		}
	}
	return ns
}

// awaitMore waits until n more are confirmed.
func (s *source) awaitMore(t *testing.T, n int) {
	t.Helper()
	had := len(s.confirmed())
	await(t, "nothing is confirmed", func() bool { return len(s.confirmed()) >= had+n })
}

// check compares the stream with what the device knows: all that is confirmed is
// there once, what is not at most once, and all in the order of sending.
func (s *source) check(t *testing.T) {
	t.Helper()
	stored := s.room.payloads(t, s.room.subject(s.topic))
	last := -1
	for i, body := range stored {
		n, err := strconv.Atoi(body)
		require.NoError(t, err)
		require.Greaterf(t, n, last, "message %d of the stream: doubled or out of order", i)
		last = n
	}
	require.NotEmpty(t, s.confirmed())
	require.Subset(t, stored, s.confirmed(), "confirmed and not stored")
}

// neverBetween checks that nothing was confirmed while it could not be stored,
// and that every failure was told in time.
func (s *source) neverBetween(t *testing.T, down, up time.Time) {
	t.Helper()
	for _, try := range s.history() {
		require.Falsef(t, try.err == nil && try.began.After(down) && try.ended.Before(up), "%d was confirmed without NATS", try.n)
		if try.err != nil {
			require.Lessf(t, try.ended.Sub(try.began), patience, "%d: %v", try.n, try.err)
		}
	}
}
