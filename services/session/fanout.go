package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/streams"
)

const (
	fanoutConsumer = "session-fanout"
	fanoutPending  = 4096
	fanoutAckWait  = 5 * time.Second
)

// fanout reads GW_DATA and stores copies for the durable subscriptions. While
// there are none it does not read. One goroutine reads; lanes take answers from
// the subscription of the term.
type fanout struct {
	t   *term
	pos uint64 // the last sequence that was matched; of the reader
}

var errNobody = errors.New("session: no durable subscription")

// run reads until ctx ends.
func (f *fanout) run(ctx context.Context) {
	for ctx.Err() == nil {
		if f.t.idx.size() == 0 {
			f.idle(ctx)
			continue
		}
		err := f.read(ctx)
		if ctx.Err() != nil || errors.Is(err, errNobody) {
			continue
		}
		f.t.trouble.report("read GW_DATA", err)
		pause(ctx, hurry)
	}
}

// idle waits for the first subscription. What was published meanwhile is
// nobody's: the consumer begins anew.
func (f *fanout) idle(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-f.t.idx.busy:
	}
	first := f.t.idx.first()
	if first <= f.pos+1 || !f.t.lease.Valid() {
		return
	}
	end, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	f.t.lanes.acknowledge()
	if err := f.t.JS.DeleteConsumer(end, streams.Data, fanoutConsumer); err == nil || errors.Is(err, jetstream.ErrConsumerNotFound) {
		f.pos = first - 1
	} // else everything in between is read, and is nobody's
}

// read goes on after the consumer's ack floor, or where it was in this term.
// What the consumer has delivered to an owner before us, or into a connection
// that broke, would come again only after its time, and after newer messages: so
// it is read from the stream.
func (f *fanout) read(ctx context.Context) error {
	cons, err := f.consumer(ctx)
	if err != nil {
		return err
	}
	info, err := cons.Info(ctx)
	if err != nil {
		return err
	}
	f.pos = max(f.pos, info.AckFloor.Stream)
	f.t.idx.begin(f.pos)
	if err := f.fill(ctx, info.Delivered.Stream); err != nil {
		return err
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(512), jetstream.PullExpiry(5*time.Second), jetstream.PullHeartbeat(time.Second))
	if err != nil {
		return err
	}
	defer it.Stop()
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		f.t.trouble.clear("read GW_DATA")
		if err := f.take(ctx, m); err != nil {
			return err
		}
		if f.t.idx.size() == 0 {
			return errNobody
		}
	}
}

// consumer finds the consumer, or makes one that begins where this term was; at
// the start of a term, where the oldest subscription begins.
func (f *fanout) consumer(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	cons, err := f.t.JS.Consumer(ctx, streams.Data, fanoutConsumer)
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return cons, err
	}
	start := f.pos + 1
	if f.pos == 0 {
		start = max(f.t.idx.first(), 1)
	}
	return f.t.JS.CreateConsumer(ctx, streams.Data, jetstream.ConsumerConfig{
		Durable: fanoutConsumer, Description: "copies for durable subscriptions",
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: start, AckPolicy: jetstream.AckAllPolicy,
		AckWait: fanoutAckWait, MaxAckPending: fanoutPending, MaxDeliver: -1,
	})
}

// take matches what the consumer delivers, each message once and in order.
func (f *fanout) take(ctx context.Context, m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	seq := meta.Sequence.Stream
	if seq <= f.pos {
		f.t.lanes.again(seq, m.Ack)
		return nil
	}
	if err := f.fill(ctx, seq-1); err != nil {
		return err
	}
	return f.put(ctx, &held{seq: seq, subj: m.Subject(), header: m.Headers(), data: m.Data(), ack: m.Ack})
}

// fill takes from the stream what is missing up to and with sequence to. The
// consumer will deliver these again; only then can they be acknowledged.
func (f *fanout) fill(ctx context.Context, to uint64) error {
	for f.pos < to {
		q, err := f.t.data.next(ctx, ">", f.pos+1, true)
		if errors.Is(err, errEmpty) || err == nil && q.seq > to {
			f.pos = to // the rest is deleted
			return nil
		}
		if err != nil {
			return err
		}
		if err := f.put(ctx, &held{seq: q.seq, subj: q.subj, header: q.header, data: q.data}); err != nil {
			return err
		}
	}
	return nil
}

func (f *fanout) put(ctx context.Context, h *held) error {
	for f.t.lanes.full() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-f.t.lanes.room:
		}
	}
	f.t.lanes.put(h, func() []*sub { return f.t.idx.match(h.seq, h.subj) }, time.Now())
	f.pos = h.seq
	return nil
}

// sendCopy publishes one copy. The id makes it single, whoever sends it again
// within the duplicate window of the stream.
func (t *term) sendCopy(p parcel, id uint64) error {
	if !t.lease.Valid() {
		return errLeaseOver
	}
	m := nats.NewMsg(p.to.queue)
	m.Header = p.h.copyHeader()
	m.Header.Set(nats.MsgIdHdr, strconv.FormatUint(p.h.seq, 10)+"."+p.to.queue)
	m.Data = p.h.data
	m.Reply = t.inbox + ".q." + strconv.FormatUint(id, 10)
	err := t.NC.PublishMsg(m)
	if errors.Is(err, nats.ErrMaxPayload) {
		// No answer will come: give one ourselves, from the queue of answers.
		return t.NC.Publish(m.Reply, []byte(`{"error":{"code":400,"err_code":10054,"description":"message size exceeds maximum allowed"}}`))
	}
	return err
}

func (h *held) copyHeader() nats.Header {
	out := make(nats.Header, len(h.header)+3)
	for name, values := range h.header {
		out[name] = values
	}
	out.Set(streams.HdrSubject, h.subj)
	out.Set(streams.HdrSeq, strconv.FormatUint(h.seq, 10))
	return out
}

// onStored takes the answer of GW_QUEUE for a copy. It runs in the goroutine of
// its subscription and does not wait for anything.
func (t *term) onStored(m *nats.Msg) {
	id, err := strconv.ParseUint(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:], 10, 64)
	if err != nil {
		return
	}
	o, seq, why := readAck(m)
	if o == retry {
		t.trouble.report("store in GW_QUEUE", why)
	}
	p, settled := t.lanes.answered(id, o, time.Now())
	if !settled {
		return
	}
	switch o {
	case kept:
		t.trouble.clear("store in GW_QUEUE")
		if p.to.stored(&queued{seq: seq, subj: p.to.queue, header: p.h.copyHeader(), data: p.h.data}, seq) {
			t.pool.wake(p.to)
		}
	case before: // it may be delivered and deleted already: the queue itself must tell
		if p.to.stored(nil, seq) {
			t.pool.wake(p.to)
		}
	case full:
		p.to.dropped("queue_full")
	default:
		p.to.dropped("refused")
		t.trouble.report("store one message in GW_QUEUE", why)
	}
}

// readAck reads a publish acknowledgement.
func readAck(m *nats.Msg) (o outcome, seq uint64, why error) {
	const codeStoreFailed = 10077 // with the reason in the text
	var r struct {
		Seq       uint64              `json:"seq"`
		Duplicate bool                `json:"duplicate"`
		Error     *jetstream.APIError `json:"error"`
	}
	if len(m.Data) == 0 {
		return retry, 0, nats.ErrNoResponders
	}
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return retry, 0, fmt.Errorf("session: unreadable acknowledgement: %w", err)
	}
	switch e := r.Error; {
	case e == nil && r.Seq == 0:
		return retry, 0, errors.New("session: an acknowledgement without a sequence")
	case e == nil && r.Duplicate:
		return before, r.Seq, nil
	case e == nil:
		return kept, r.Seq, nil
	case e.ErrorCode == codeStoreFailed && strings.Contains(e.Description, "per subject"):
		return full, 0, e
	case e.ErrorCode == codeStoreFailed || e.Code != 400:
		return retry, 0, e
	default:
		return refused, 0, e
	}
}
