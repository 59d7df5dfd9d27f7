package session

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/services/session/queue"
	"sluice/streams"
)

const (
	workers  = 32 // that ask JetStream, each for one subscription at a time
	stepsMax = 32 // of one subscription, before others have their turn
)

// work is a worker: it does what queues have to do, until the pool is closed.
func (s *Service) work(ctx context.Context) {
	for q := s.pool.take(); q != nil; q = s.pool.take() {
		more := true
		for n := 0; more && n < stepsMax && ctx.Err() == nil; n++ {
			more = q.cl.p.step(ctx, q)
		}
		s.pool.done(q, more && ctx.Err() == nil)
	}
}

// step does one thing for a queue and tells whether there may be more.
func (p *partition) step(ctx context.Context, s *sub) (more bool) {
	p.tellDrops(s)
	if !p.lease.Valid() {
		return false
	}
	now := time.Now()
	s.mu.Lock()
	l := s.live
	if l == nil {
		s.mu.Unlock()
		return false
	}
	a, to, lost, hint := l.f.Next(now), target{l.node, l.epoch, l.gen, l.handle}, l.lost, l.hint
	if a.Do == queue.Idle && !lost {
		s.idle(l, now)
		s.mu.Unlock()
		return false
	}
	s.mu.Unlock()
	if p.draining.Load() && a.Do != queue.Remove && a.Do != queue.Bury {
		return false
	}
	if lost {
		return p.recordLoss(ctx, s)
	}
	err := p.do(ctx, s, a, to, hint)
	if err == nil {
		p.trouble.clear("deliver")
		return true
	}
	if ctx.Err() == nil {
		p.trouble.report("deliver", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.live; l != nil {
		l.f.Failed(time.Now())
		s.idle(l, time.Now())
	}
	return false
}

// idle sets the clock for what is due next. s.mu is held.
func (s *sub) idle(l *live, now time.Time) {
	if l.closed {
		return
	}
	if due := l.f.Due(now); due >= 0 {
		s.cl.p.wheel.Set(&l.clock, s, due)
	} else {
		s.cl.p.wheel.Stop(&l.clock)
	}
	s.calm()
}

func (p *partition) do(ctx context.Context, s *sub, a queue.Action, to target, hint *queued) error {
	switch a.Do {
	case queue.Remove:
		return p.remove(ctx, s, a.Seq)
	case queue.Bury:
		return p.bury(ctx, s, a.Seq, a.Reason)
	case queue.Resend:
		return p.resend(ctx, s, a, to)
	case queue.Fetch:
		return p.fetch(ctx, s, a, to, hint)
	case queue.GiveUp:
		s.flight(func(f *queue.Flight) { f.GivenUp(a.Seq) })
	case queue.Tell:
		p.tellDrained(s.cl, s.id, to)
		s.flight(func(f *queue.Flight) { f.Told() })
	case queue.Idle:
	}
	return nil
}

// flight tells the flight of a queue something, if there still is one.
func (s *sub) flight(f func(*queue.Flight)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live != nil {
		f(&s.live.f)
	}
}

// remove deletes what the device has.
func (p *partition) remove(ctx context.Context, s *sub, seq uint64) error {
	if err := p.queue.remove(ctx, seq); err != nil {
		return err
	}
	p.acked(s, seq)
	s.flight(func(f *queue.Flight) { f.Removed(seq) })
	return nil
}

// discard deletes what can never be sent.
func (p *partition) discard(ctx context.Context, s *sub, seq uint64) error {
	if err := p.queue.remove(ctx, seq); err != nil {
		return err
	}
	s.flight(func(f *queue.Flight) { f.Missing(seq) })
	return nil
}

// fetch finds the next message and sends it.
func (p *partition) fetch(ctx context.Context, s *sub, a queue.Action, to target, hint *queued) error {
	m, err := hint, error(nil)
	if m == nil {
		m, err = p.queue.next(ctx, s.Name, a.Seq, a.Leader)
	}
	if err != nil && !errors.Is(err, errEmpty) {
		return err
	}
	now := time.Now()
	s.mu.Lock()
	l := s.live
	if l == nil || l.gen != to.gen || a.Seq != l.f.Cursor() { // an answer to an older question
		s.mu.Unlock()
		return nil
	}
	if err != nil {
		l.f.Nothing(a)
		s.mu.Unlock()
		return nil //nolint:nilerr // errEmpty: it is told to the flight
	}
	l.hint = nil
	prev, attempt, send := l.f.Found(m.seq, now)
	s.mu.Unlock()
	if !send {
		return nil
	}
	return p.deliver(ctx, s, m, prev, attempt, to)
}

// resend sends a message once more that is unanswered or was refused.
func (p *partition) resend(ctx context.Context, s *sub, a queue.Action, to target) error {
	m, err := p.queue.get(ctx, a.Seq)
	if err != nil && !errors.Is(err, errEmpty) {
		return err
	}
	s.mu.Lock()
	l := s.live
	same := l != nil && l.gen == to.gen
	switch {
	case !same:
	case err != nil || m.subj != s.Name:
		l.f.Missing(a.Seq)
		same = false
	default:
		l.f.Resent(a.Seq, time.Now())
	}
	s.mu.Unlock()
	if !same {
		return nil
	}
	p.Metrics.Retry()
	return p.deliver(ctx, s, m, a.Prev, a.Attempt, to)
}

// deliver publishes a message to the node of the client.
func (p *partition) deliver(ctx context.Context, s *sub, q *queued, prev uint64, attempt int, to target) error {
	seq := strconv.FormatUint(q.seq, 10)
	m := nats.NewMsg(streams.EdgeSubject(to.node, "dn", s.cl.name))
	m.Header, m.Data = ownHeader(q.header), q.data
	m.Header.Set(streams.HdrSub, subject.Token(s.id))
	m.Header.Set(streams.HdrSeq, seq)
	m.Header.Set(streams.HdrPrev, strconv.FormatUint(prev, 10))
	setEpoch(m, to.epoch)
	m.Header.Set(streams.HdrAttempt, strconv.Itoa(attempt))
	m.Reply = p.inbox + ".d." + strconv.FormatUint(to.handle, 10) + "." + strconv.FormatUint(to.gen, 10) + "." + seq
	err := errLeaseOver
	if p.lease.Valid() {
		err = p.NC.PublishMsg(m)
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		p.trouble.report("deliver one message", err)
		s.dropped("too_large")
		return p.discard(ctx, s, q.seq)
	}
	if err != nil {
		s.flight(func(f *queue.Flight) { f.Unsent(q.seq, time.Now()) })
		return err
	}
	p.told(s, q, api.EventSent, attempt, "")
	return nil
}

func setEpoch(m *nats.Msg, epoch uint64) {
	m.Header.Set(streams.HdrEpoch, strconv.FormatUint(epoch, 10))
}

// onAnswer takes the word of an edge. It runs in the goroutine of its
// subscription and does not wait for anything.
func (s *Service) onAnswer(m *nats.Msg) {
	var n [3]uint64 // handle, generation, sequence
	tokens := strings.Split(m.Subject, ".")
	for i := range n {
		v, err := strconv.ParseUint(tokens[len(tokens)-3+i], 10, 64)
		if err != nil {
			return
		}
		n[i] = v
	}
	if q := s.handles.get(n[0]); q != nil {
		q.answered(n[1], n[2], m, time.Now())
		s.pool.wake(q)
	}
}
