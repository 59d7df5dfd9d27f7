package session

import (
	"context"
	"errors"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/services/session/fanout"
	"sluice/streams"
)

// reader reads GW_DATA once for all partitions of this process, and has copies
// stored for the queues that want them. While there are none it does not read.
// A partition that comes may need what has been read already: then reading goes
// back, and what comes again goes to its queues only.
type reader struct {
	s *Service

	pos  uint64        // the last sequence that was put to the lanes; of run
	back chan struct{} // told when partitions came

	mu   sync.Mutex
	came []*partition // since reading began
}

func newReader(s *Service) *reader {
	return &reader{s: s, back: make(chan struct{}, 1)}
}

var (
	errNobody = errors.New("session: no queue to fill")
	errBack   = errors.New("session: a partition came")
)

// join returns when reading goes on where the queues of a partition begin, or
// earlier, and messages go into them.
func (r *reader) join(ctx context.Context, p *partition) error {
	r.mu.Lock()
	r.came = append(r.came, p)
	r.mu.Unlock()
	select {
	case r.back <- struct{}{}:
	default:
	}
	select {
	case <-p.joined:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// restore has what is read go into the queues of a partition, and tells after
// which sequence that has to begin.
func (p *partition) restore() (need uint64) {
	need = math.MaxUint64
	for _, cl := range p.all() {
		cl.mu.Lock()
		for _, l := range cl.loaded {
			p.idx.Restore(&l.s.Queue, l.subjects, l.from)
			need = min(need, l.from-1)
		}
		cl.loaded = nil
		cl.mu.Unlock()
	}
	return need
}

// run reads until ctx ends.
func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		if r.s.idx.Size() == 0 {
			select {
			case <-ctx.Done():
				return
			case <-r.s.idx.Busy():
			case <-r.back:
			}
		}
		err := r.read(ctx)
		if ctx.Err() != nil || errors.Is(err, errNobody) || errors.Is(err, errBack) {
			continue
		}
		r.s.trouble.report("read GW_DATA", err)
		pause(ctx, hurry)
	}
}

// begin says after which sequence to read. Nothing may be on its way to a queue
// then: the floor would pass it.
func (r *reader) begin(ctx context.Context) (uint64, error) {
	for !r.s.lanes.Settled() {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-r.s.lanes.Room():
		}
	}
	r.mu.Lock()
	came := r.came
	r.came = nil
	r.mu.Unlock()
	for _, p := range came {
		r.pos = min(r.pos, p.restore())
		defer close(p.joined)
	}
	if first := r.s.idx.First(); first > r.pos+1 {
		r.pos = first - 1 // what is before is nobody's
	}
	r.s.idx.Begin(r.pos)
	r.s.lanes.Restart(r.pos)
	return r.pos, nil
}

func (r *reader) read(ctx context.Context) error {
	pos, err := r.begin(ctx)
	if err != nil {
		return err
	}
	if r.s.idx.Size() == 0 {
		return errNobody
	}
	cons, err := r.s.JS.OrderedConsumer(ctx, streams.Data, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: pos + 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return err
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(512))
	if err != nil {
		return err
	}
	defer it.Stop()
	reading, stop := context.WithCancelCause(ctx)
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer stop(nil)
	waiting.Go(func() { // for a partition that comes: reading may wait in Next
		select {
		case <-r.back:
			stop(errBack)
		case <-reading.Done():
		}
	})
	for {
		m, err := it.Next(jetstream.NextContext(reading))
		if cause := context.Cause(reading); cause != nil {
			return cause
		}
		if err != nil {
			return err
		}
		r.s.trouble.clear("read GW_DATA")
		if err := r.take(reading, m); err != nil {
			return err
		}
		if r.s.idx.Size() == 0 {
			return errNobody
		}
	}
}

// take puts one message to the lanes, when there is room.
func (r *reader) take(ctx context.Context, m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	for r.s.lanes.Full() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.s.lanes.Room():
		}
	}
	seq, subj := meta.Sequence.Stream, m.Subject()
	msg := &fanout.Message{Seq: seq, Subject: subj, Header: m.Headers(), Data: m.Data(), Stored: meta.Timestamp}
	r.s.lanes.Put(msg, func() []*fanout.Queue { return r.s.idx.Match(seq, subj) }, time.Now())
	r.pos = seq
	return nil
}

// savePositions writes down up to where copies are stored, for the next owners.
// A write that is lost, or that comes late, costs them the repetition of what
// was done since the one before; the ids of copies make it harmless.
func (s *Service) savePositions(ctx context.Context) {
	floor := s.lanes.Floor()
	for _, p := range s.owned.all() {
		if ctx.Err() != nil || p.saved.Load() == floor || !p.lease.Valid() {
			continue
		}
		err := s.NC.Publish("$KV."+streams.Partitions+"."+positionKey(p.n), strconv.AppendUint(nil, floor, 10))
		if err == nil {
			p.saved.Store(floor)
		}
	}
}
