package session

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/subject"
	"sluice/streams"
)

const (
	workers  = 32 // that ask JetStream, each for one subscription at a time
	stepsMax = 32 // of one subscription, before others have their turn
)

// work is a worker: it does what subscriptions have to do, until the pool is
// closed.
func (t *term) work(ctx context.Context) {
	for s := t.pool.take(); s != nil; s = t.pool.take() {
		more := true
		for n := 0; more && n < stepsMax && ctx.Err() == nil; n++ {
			more = t.step(ctx, s)
		}
		t.pool.done(s, more && ctx.Err() == nil)
	}
}

// step does one thing for a subscription and tells whether there may be more.
func (t *term) step(ctx context.Context, s *sub) (more bool) {
	if !t.lease.Valid() {
		return false
	}
	s.mu.Lock()
	a, to, lost := s.f.next(time.Now()), target{s.node, s.epoch, s.gen}, s.lost
	hint := s.hint
	s.mu.Unlock()
	if t.draining.Load() && (a.do == fetch || a.do == resend) {
		return false
	}
	if lost {
		return t.recordLoss(ctx, s)
	}
	var err error
	switch a.do {
	case idle:
		return false
	case remove:
		err = t.remove(ctx, s, a.seq)
	case bury:
		err = t.bury(ctx, s, a.seq)
	case resend:
		err = t.resend(ctx, s, a, to)
	case fetch:
		err = t.fetch(ctx, s, a, to, hint)
	}
	if err == nil {
		t.trouble.clear("deliver")
		return true
	}
	if ctx.Err() == nil {
		t.trouble.report("deliver", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.f.failed(time.Now())
	return false
}

// remove deletes what the device has.
func (t *term) remove(ctx context.Context, s *sub, seq uint64) error {
	if err := t.queue.remove(ctx, seq); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.f.removed(seq)
	return nil
}

// discard deletes what can never be sent.
func (t *term) discard(ctx context.Context, s *sub, seq uint64) error {
	if err := t.queue.remove(ctx, seq); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.f.missing(seq)
	return nil
}

// fetch finds the next message and sends it.
func (t *term) fetch(ctx context.Context, s *sub, a action, to target, hint *queued) error {
	m, err := hint, error(nil)
	if m == nil {
		m, err = t.queue.next(ctx, s.queue, a.seq, a.leader)
	}
	if err != nil && !errors.Is(err, errEmpty) {
		return err
	}
	now := time.Now()
	s.mu.Lock()
	if s.gen != to.gen || a.seq != s.f.cursor { // an answer to an older question
		s.mu.Unlock()
		return nil
	}
	if err != nil {
		s.f.nothing(a)
		s.mu.Unlock()
		return nil //nolint:nilerr // errEmpty: it is told to the flight
	}
	s.hint = nil
	prev, attempt, send := s.f.found(m.seq, now)
	s.mu.Unlock()
	if !send {
		return nil
	}
	return t.deliver(ctx, s, m, prev, attempt, to)
}

// resend sends a message once more that is unanswered or was refused.
func (t *term) resend(ctx context.Context, s *sub, a action, to target) error {
	m, err := t.queue.get(ctx, a.seq)
	if err != nil && !errors.Is(err, errEmpty) {
		return err
	}
	s.mu.Lock()
	same := s.gen == to.gen
	switch {
	case !same:
	case err != nil || m.subj != s.queue:
		s.f.missing(a.seq)
		same = false
	default:
		s.f.resent(a.seq, time.Now())
	}
	s.mu.Unlock()
	if !same {
		return nil
	}
	t.Metrics.Retry()
	return t.deliver(ctx, s, m, a.prev, a.attempt, to)
}

// deliver publishes a message to the node of the client.
func (t *term) deliver(ctx context.Context, s *sub, q *queued, prev uint64, attempt int, to target) error {
	seq := strconv.FormatUint(q.seq, 10)
	m := nats.NewMsg(streams.EdgeSubject(to.node, "dn", s.cl.name))
	m.Header, m.Data = ownHeader(q.header), q.data
	m.Header.Set(streams.HdrSub, subject.Token(s.id))
	m.Header.Set(streams.HdrSeq, seq)
	m.Header.Set(streams.HdrPrev, strconv.FormatUint(prev, 10))
	m.Header.Set(streams.HdrEpoch, strconv.FormatUint(to.epoch, 10))
	m.Header.Set(streams.HdrAttempt, strconv.Itoa(attempt))
	m.Reply = t.inbox + ".d." + strconv.FormatUint(s.handle, 10) + "." + strconv.FormatUint(to.gen, 10) + "." + seq
	err := errLeaseOver
	if t.lease.Valid() {
		err = t.NC.PublishMsg(m)
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		t.trouble.report("deliver one message", err)
		s.dropped("too_large")
		return t.discard(ctx, s, q.seq)
	}
	if err != nil {
		s.mu.Lock()
		s.f.unsent(q.seq, time.Now())
		s.mu.Unlock()
	}
	return err
}

// onAnswer takes the word of an edge. It runs in the goroutine of its
// subscription and does not wait for anything.
func (t *term) onAnswer(m *nats.Msg) {
	var n [3]uint64 // handle, generation, sequence
	tokens := strings.Split(m.Subject, ".")
	for i := range n {
		v, err := strconv.ParseUint(tokens[len(tokens)-3+i], 10, 64)
		if err != nil {
			return
		}
		n[i] = v
	}
	if s := t.byHandle(n[0]); s != nil {
		s.answered(n[1], n[2], m, time.Now())
		t.pool.wake(s)
	}
}

// sweep is the clock of a term: what is due again, what was dropped.
func (t *term) sweep(ctx context.Context) {
	every := min(max(min(t.Retx, t.NakStep)/4, 10*time.Millisecond), 250*time.Millisecond)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for gauge := time.Duration(0); ; gauge -= every {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		t.lanes.acknowledge()
		for range t.lanes.sweep(now) {
			t.Metrics.Retry()
		}
		for _, s := range t.all() {
			if s.due(now) {
				t.pool.wake(s)
			}
			t.tellDrops(s)
		}
		if gauge <= 0 {
			gauge = t.gauge(ctx)
		}
	}
}
