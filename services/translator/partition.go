package translator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/ownership"
	"sluice/streams"
)

// partition is one time of working for a partition, from its checkpoint on.
type partition struct {
	*Service
	n        int
	lease    ownership.Lease
	out      *outbox
	decoders map[string]decoder // by client, while they remember something
	done     map[uint64]bool    // raw sequences behind the checkpoint whose message is there
	read     uint64             // the last raw sequence
	saved    checkpoint
	marks    []checkpoint
	media    jetstream.ObjectStore
}

func newPartition(s *Service, n int, lease ownership.Lease) *partition {
	return &partition{Service: s, n: n, lease: lease, decoders: map[string]decoder{}}
}

var errLeaseOver = errors.New("the lease is over")

// run reads until ctx ends or something fails. What was published is awaited
// before it returns, so that whoever comes next finds it.
func (p *partition) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := p.resume(ctx); err != nil {
		return err
	}
	p.out = newOutbox(p.JS, &p.stored, cancel)
	defer p.finish(ctx)
	cons, err := p.JS.OrderedConsumer(ctx, streams.Raw, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{streams.RawFilter(p.n)}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq: p.saved.Raw + 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("translator: read %s: %w", streams.Raw, err)
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(256))
	if err != nil {
		return fmt.Errorf("translator: read %s: %w", streams.Raw, err)
	}
	defer it.Stop()
	frames := make(chan jetstream.Msg, 64)
	go p.feed(ctx, cancel, it, frames)
	p.began(p.n)
	return p.loop(ctx, frames)
}

// feed reads ahead; it ends with ctx.
func (p *partition) feed(ctx context.Context, cancel context.CancelCauseFunc, it jetstream.MessagesContext, frames chan<- jetstream.Msg) {
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			cancel(fmt.Errorf("translator: read %s: %w", streams.Raw, err))
			return
		}
		select {
		case frames <- m:
		case <-ctx.Done():
			return
		}
	}
}

func (p *partition) loop(ctx context.Context, frames <-chan jetstream.Msg) error {
	save := time.NewTicker(p.SaveEvery)
	defer save.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case m := <-frames:
			if err := p.take(ctx, m); err != nil {
				return err
			}
		case now := <-save.C:
			if err := p.expire(ctx, now); err != nil {
				return err
			}
			if err := p.save(ctx); err != nil {
				return err
			}
		}
	}
}

// finish waits for what is on its way, and writes the checkpoint, both as long as
// the lease holds.
func (p *partition) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	p.out.drain(ctx)
	if err := p.save(ctx); err != nil {
		p.Log.Debug("translator: checkpoint not written", "partition", p.n, "error", err)
	}
	p.out.close()
}

const drainFor = time.Second

// take translates one frame.
func (p *partition) take(ctx context.Context, m jetstream.Msg) error {
	if !p.lease.Valid() {
		return errLeaseOver
	}
	r, err := raw(m)
	if err != nil {
		return err
	}
	key := r.String()
	d := p.decoders[key]
	if d == nil {
		d = newDecoder(r.Proto)
	}
	var out []Output
	if d == nil {
		out = []Output{{Body: r.Frame, Err: fmt.Errorf("there is no decoder for %s", r.Proto)}}
	} else {
		out = d.decode(r)
		p.remember(key, d)
	}
	p.read = r.Seq
	return p.publish(ctx, r, out)
}

// remember keeps a decoder while it waits for something.
func (p *partition) remember(key string, d decoder) {
	if d.idle() {
		delete(p.decoders, key)
		return
	}
	p.decoders[key] = d
}

// publish sends what became of a frame, unless it is there already.
func (p *partition) publish(ctx context.Context, r Raw, out []Output) error {
	if p.done[r.Seq] {
		delete(p.done, r.Seq)
		return nil
	}
	for i, o := range out {
		m, err := p.message(ctx, r, o, i)
		if err != nil {
			return err
		}
		if err := p.out.send(ctx, r.Seq, i == len(out)-1, m); err != nil {
			return err
		}
		p.Metrics.Translated(r.Proto, o.Err == nil)
	}
	return nil
}

// expire gives up what has waited for too long. It is told with the topic of its
// last packet.
func (p *partition) expire(ctx context.Context, now time.Time) error {
	for key, d := range p.decoders {
		seq, _ := d.oldest()
		out := d.expire(now)
		p.remember(key, d)
		if len(out) == 0 {
			continue
		}
		s, err := p.JS.Stream(ctx, streams.Raw)
		if err != nil {
			return fmt.Errorf("translator: %s: %w", streams.Raw, err)
		}
		m, err := s.GetMsg(ctx, seq)
		if err != nil {
			return fmt.Errorf("translator: a packet that waits: %w", err)
		}
		r := Raw{Seq: seq, At: m.Time, msg: stored{m}}
		if r.ClientKey, err = api.ParseClientKey(key); err != nil {
			return err
		}
		for i, o := range out {
			msg, err := p.message(ctx, r, o, lateOutputs+i)
			if err != nil {
				return err
			}
			if err := p.out.send(ctx, p.read, true, msg); err != nil {
				return err
			}
			p.Metrics.Translated(r.Proto, false)
		}
	}
	return nil
}

// lateOutputs is the number of the first output of a frame that came of time, not
// of the frame.
const lateOutputs = 1000

// raw reads a message of GW_RAW: gw.raw.<p>.<proto>.<inst>.<client>.<kind>.
func raw(m jetstream.Msg) (r Raw, err error) {
	meta, err := m.Metadata()
	if err != nil {
		return r, fmt.Errorf("translator: %w", err)
	}
	tokens := strings.Split(m.Subject(), ".")
	if len(tokens) != 7 {
		return r, fmt.Errorf("translator: subject %q", m.Subject())
	}
	if r.ClientKey, err = api.ParseClientKey(strings.Join(tokens[3:6], ".")); err != nil {
		return r, fmt.Errorf("translator: subject %q: %w", m.Subject(), err)
	}
	r.Kind, r.Seq, r.At, r.Frame, r.msg = tokens[6], meta.Sequence.Stream, meta.Timestamp, m.Data(), m
	r.Form = m.Headers().Get(streams.HdrForm)
	return r, nil
}

// stored is a message that was read by its sequence.
type stored struct{ *jetstream.RawStreamMsg }

func (s stored) Headers() nats.Header { return s.RawStreamMsg.Header }

// hasForm tells whether a word is among those that the edge said.
func hasForm(form, word string) bool {
	for w := range strings.SplitSeq(form, " ") {
		if w == word {
			return true
		}
	}
	return false
}
