package gateway

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/streams"
)

const (
	queueAckWait = 15 * time.Second // until messages of an edge that died go to another
	queueExtend  = 5 * time.Second  // how often a living one says that it still works on them
	queueFetch   = 20 * time.Second // one pull request
	maxQueueName = 240              // as a token: consumer names end at 255
)

// workTimes are queueAckWait and queueExtend, but for tests.
type workTimes struct{ ackWait, extend time.Duration }

// queueName is the cluster-wide name of a device's queue: the mountpoint is part
// of it, so that tenants do not share queues.
func (c *client) queueName(name string) (string, error) {
	if subject.IsFilter(name) {
		return "", api.Errorf(api.Invalid, "queue", "a queue name has no wildcards: %q", name)
	}
	if _, err := subject.FromTopic(name); err != nil {
		return "", api.Errorf(api.Invalid, "queue", "%w", err)
	}
	full := c.mount.Topic() + name
	if len(subject.Token(full)) > maxQueueName {
		return "", api.Errorf(api.Invalid, "queue", "queue name is too long")
	}
	return full, nil
}

// queueACL is what authorisation rules see of a queue: topic "/queue/<name>".
func (c *client) queueACL(name string) string {
	s, err := c.mount.Publish("/queue/" + name)
	if err != nil {
		return "" // queueName has refused it already
	}
	return s
}

// puller brings a work queue to one subscription: it asks the queue's one
// consumer for as many messages as the subscription may still hold. All pullers
// of a queue in the cluster share the consumer, which gives each message to one.
//
// Goroutines: pull and extend, ended by close.
type puller struct {
	c      *client
	sub    *subscription
	cons   jetstream.Consumer
	stop   context.CancelFunc
	wg     sync.WaitGroup
	credit chan struct{} // 1 deep: credit has come back

	mu     sync.Mutex
	held   map[uint64]jetstream.Msg // by stream sequence: with the device
	closed bool
}

func (c *client) subscribeQueue(ctx context.Context, sub *subscription) error {
	name, err := c.queueName(sub.Filter)
	if err != nil {
		return err
	}
	cons, err := c.node.JS.CreateOrUpdateConsumer(ctx, streams.Work, jetstream.ConsumerConfig{
		Durable: streams.WorkConsumer(name), FilterSubject: streams.WorkSubject(name),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.node.work.ackWait,
		MaxDeliver:    -1, // counted here: a message the server gave up on would lie in the stream for ever
		MaxAckPending: 100_000, MaxWaiting: 4096, InactiveThreshold: 24 * time.Hour,
	})
	if err != nil {
		return api.Wrap(api.Unavailable, "subscribe", "the queue is not available now, try later", err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	q := &puller{c: c, sub: sub, cons: cons, stop: stop, credit: make(chan struct{}, 1), held: map[uint64]jetstream.Msg{}}
	sub.queue = q
	q.wg.Go(func() { q.pull(run) })
	q.wg.Go(func() { q.extend(run) })
	return nil
}

func (q *puller) pull(ctx context.Context) {
	for ctx.Err() == nil {
		free := q.free()
		if free == 0 {
			select {
			case <-ctx.Done():
			case <-q.credit:
			}
			continue
		}
		err := q.fetch(ctx, free)
		if err != nil && ctx.Err() == nil {
			q.c.node.Log.Debug("queue pull failed", "queue", q.sub.Filter, "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(retryPause):
			}
		}
	}
}

func (q *puller) fetch(ctx context.Context, n int) error {
	one, cancel := context.WithTimeout(ctx, queueFetch)
	defer cancel()
	batch, err := q.cons.Fetch(n, jetstream.FetchContext(one))
	if err != nil {
		return err
	}
	for m := range batch.Messages() {
		q.hand(m)
	}
	if err := batch.Error(); err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) {
		return err
	}
	return nil
}

func (q *puller) free() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(q.sub.Window-len(q.held), 0)
}

// hand gives a message to the connection, or buries it when it was delivered too
// often: a message that kills its consumers must not go round for ever.
func (q *puller) hand(m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		return
	}
	if meta.NumDelivered > uint64(q.c.inst.conf.MaxDeliver) {
		q.bury(m, "max_deliver")
		return
	}
	seq := meta.Sequence.Stream
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		_ = m.Nak()
		return
	}
	_, again := q.held[seq]
	q.held[seq] = m
	q.mu.Unlock()
	if again { // the device still works on it: its answer will be for this copy
		return
	}
	in := newInbound(m.Subject(), m.Headers(), m.Data())
	d := Delivery{
		Sub: q.sub.ID, Topic: q.sub.Filter, Msg: in, Seq: seq, Queue: true, Attempt: int(meta.NumDelivered),
		done: func(err error) { q.done(seq, int(meta.NumDelivered), err) },
	}
	if !q.c.inbox.push(Event{Kind: Delivered, Delivery: d}) {
		q.done(seq, int(meta.NumDelivered), ErrClosed)
	}
}

// done is the device's answer, or ErrClosed when there will be none.
func (q *puller) done(seq uint64, attempt int, err error) {
	q.mu.Lock()
	m := q.held[seq]
	delete(q.held, seq)
	q.mu.Unlock()
	if m == nil {
		return // close was faster
	}
	select {
	case q.credit <- struct{}{}:
	default:
	}
	q.c.countDelivery(err)
	switch {
	case err == nil:
		_ = m.Ack() // lost with the connection: then it is redelivered, which at-least-once allows
	case errors.Is(err, ErrNack) && attempt >= q.c.inst.conf.MaxDeliver:
		q.bury(m, "nack")
	case errors.Is(err, ErrNack) && attempt > 1:
		_ = m.NakWithDelay(time.Duration(min(attempt-1, 30)) * time.Second)
	default:
		_ = m.Nak()
	}
}

// bury writes the dead letter and removes the original when that is stored.
func (q *puller) bury(m jetstream.Msg, reason string) {
	id := m.Headers().Get(nats.MsgIdHdr)
	if meta, err := m.Metadata(); err == nil && id == "" { // not of a device
		id = meta.Stream + "." + strconv.FormatUint(meta.Sequence.Stream, 10) + "." + strconv.FormatInt(meta.Timestamp.UnixNano(), 36)
	}
	q.c.node.bury(q.c.key, reason, id, m.Subject(), m.Headers(), m.Data(), func(err error) {
		if err == nil {
			_ = m.Ack()
		}
	})
}

// extend keeps what the device works on from going to somebody else.
func (q *puller) extend(ctx context.Context) {
	tick := time.NewTicker(q.c.node.work.extend)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		q.mu.Lock()
		for _, m := range q.held {
			_ = m.InProgress()
		}
		q.mu.Unlock()
	}
}

// close gives everything back at once, so that another subscriber gets it now.
// The pull request ends before: what is given back would answer it otherwise,
// and lie there until the server's patience ends.
func (q *puller) close() {
	q.mu.Lock()
	q.closed = true
	held := q.held
	q.held = map[uint64]jetstream.Msg{}
	q.mu.Unlock()
	q.stop()
	q.wg.Wait()
	for _, seq := range slices.Sorted(maps.Keys(held)) { // the next one gets them in this order
		_ = held[seq].NakWithDelay(handBack)
	}
}

// handBack lets the server forget a pull request that ended a moment ago: what
// is given back at once can still be sent to it, and then waits for AckWait.
const handBack = 20 * time.Millisecond
