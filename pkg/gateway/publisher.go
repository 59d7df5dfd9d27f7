package gateway

import (
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/pkg/metrics"
)

// Limits of what one node holds that JetStream has not acknowledged.
const (
	maxUnacked      = 1 << 16
	maxUnackedBytes = 64 << 20
	ackWait         = 3 * time.Second  // then everything unacknowledged is sent again
	confirmTimeout  = 20 * time.Second // then the publisher is told "try later"; well inside streams.DuplicateWindow
	retryPause      = 250 * time.Millisecond
	askTimeout      = confirmTimeout / 4 // of one attempt to ask the session service
)

// Headers of atomic batches, ADR-50.
const (
	batchID     = "Nats-Batch-Id"
	batchSeq    = "Nats-Batch-Sequence"
	batchCommit = "Nats-Batch-Commit"
)

// publisher hands messages to JetStream in order and tells the outcome by
// callback. nats.go's PublishAsync does not fit: on a lost connection it fails
// what is pending, while a device wants its message stored once, after the
// outage, with no gap in its order. So this one keeps what is not acknowledged
// and sends it again, oldest first, with the same Nats-Msg-Id: what had been
// stored is recognised by the stream.
//
// Messages without confirmation have no id and are never sent twice.
//
// Why a repeat does not break the order: a connection loses a tail of what was
// sent, never something in the middle, and nothing is sent on a new connection
// before what the old one may have lost. A message stored although its ack was
// lost keeps its place in the stream, for the repeat is dropped as a duplicate.
// One case is left: a stream without leader answers "no responders" to some
// messages, and a leader elected just then takes those sent before the answer
// was read. They come before the repeated ones. Whoever may not live with that
// waits for each ack, as a device with one message in flight does.
//
// Goroutines: acks arrive on the subscription's own; run is the clock.
type publisher struct {
	nc      *nats.Conn
	log     *slog.Logger
	metrics *metrics.Metrics
	prefix  string // of reply subjects; the rest is the number in base 36
	idBase  string // of Nats-Msg-Id: unique to this start of the process
	sub     *nats.Subscription

	mu      sync.Mutex
	ring    [maxUnacked]*unacked // slot = number mod maxUnacked
	first   uint64               // oldest number that may still be pending
	next    uint64
	count   int // pending
	bytes   int
	holding bool // do not send: the connection is down, or a resend is due
	closed  bool
	links   uint64 // reconnects seen; more mean that messages may be lost

	resent  time.Time
	upTo    uint64        // what had been published then
	backoff time.Duration // factor: grows with every resend until all of that is resolved

	ackWait, giveUp time.Duration // ackWait and confirmTimeout, but for tests
}

// unacked is one publish, or one atomic batch, that waits for its ack.
type unacked struct {
	id    uint64
	batch []*nats.Msg // the last one asks for the ack
	one   [1]*nats.Msg
	done  func(err error)
	size  int
	since time.Time
	sent  time.Time // zero: not yet
	tries int
	again bool // has ids: may be sent again
}

func newPublisher(nc *nats.Conn, log *slog.Logger, m *metrics.Metrics, unique string) (*publisher, error) {
	p := &publisher{nc: nc, log: log, metrics: m, prefix: nats.NewInbox() + ".", idBase: unique + "-", first: 1, next: 1,
		links: nc.Stats().Reconnects, ackWait: ackWait, giveUp: confirmTimeout}
	sub, err := nc.Subscribe(p.prefix+"*", p.onAck)
	if err != nil {
		return nil, err
	}
	p.sub = sub
	return p, sub.SetPendingLimits(-1, -1)
}

// publish queues and sends. done is called once, on another goroutine, unless
// an error is returned. Busy when the node holds too much already.
func (p *publisher) publish(m *nats.Msg, confirm bool, done func(error)) error {
	u := &unacked{done: done, again: confirm, size: len(m.Data) + len(m.Subject) + 256}
	u.one[0] = m
	u.batch = u.one[:]
	return p.enqueue(u)
}

// publishBatch is publish for messages that JetStream stores all or none.
func (p *publisher) publishBatch(ms []*nats.Msg, done func(error)) error {
	u := &unacked{batch: ms, done: done, again: true}
	for _, m := range ms {
		u.size += len(m.Data) + len(m.Subject) + 256
	}
	return p.enqueue(u)
}

func (p *publisher) enqueue(u *unacked) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return api.Errorf(api.Unavailable, "publish", "this node is stopping, try later")
	}
	if p.next-p.first >= maxUnacked || p.bytes+u.size > maxUnackedBytes {
		return api.Errorf(api.Busy, "publish", "too many messages wait to be stored, try later")
	}
	u.id = p.next
	number := strconv.FormatUint(u.id, 36)
	last := len(u.batch) - 1
	u.batch[last].Reply = p.prefix + number
	if u.again {
		for i, m := range u.batch {
			p.identify(m, number, i, last)
		}
	}
	if last > 0 && !p.fits(u.batch) { // none of it may reach the stream
		return api.Errorf(api.TooLarge, "publish", "%w", nats.ErrMaxPayload)
	}
	p.next++
	u.since = time.Now()
	p.ring[u.id%maxUnacked] = u
	p.count++
	p.bytes += u.size
	if !p.holding {
		p.send(u, u.since)
	}
	return nil
}

// identify gives a message the id by which JetStream knows a repeat. In a batch
// it is always ours: "duplicate" must mean that this batch is stored, and not
// that one of its messages came alone before.
func (p *publisher) identify(m *nats.Msg, number string, i, last int) {
	if last > 0 || m.Header.Get(nats.MsgIdHdr) == "" {
		id := p.idBase + number
		if last > 0 {
			id += "." + strconv.Itoa(i)
		}
		setHeader(m, nats.MsgIdHdr, id)
	}
	if last > 0 {
		p.nameBatch(m, number, 0)
		setHeader(m, batchSeq, strconv.Itoa(i+1))
		if i == last {
			setHeader(m, batchCommit, "1")
		}
	}
}

// nameBatch gives a batch another name each time it is sent: a beginning that
// came by a lost connection must not be taken for a part of it, or the repeat is
// refused while what follows it is stored.
func (p *publisher) nameBatch(m *nats.Msg, number string, sent int) {
	setHeader(m, batchID, p.idBase+number+"."+strconv.Itoa(sent))
}

func setHeader(m *nats.Msg, name, value string) {
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	m.Header[name] = []string{value}
}

// fits tells whether the server takes each of the messages.
func (p *publisher) fits(ms []*nats.Msg) bool {
	limit := p.nc.MaxPayload()
	for _, m := range ms {
		size := len("NATS/1.0\r\n\r\n") + len(m.Data)
		for name, values := range m.Header {
			for _, v := range values {
				size += len(name) + len(": \r\n") + len(v)
			}
		}
		if int64(size) > limit {
			return false
		}
	}
	return true
}

// send is called with the lock held, which keeps the order.
func (p *publisher) send(u *unacked, now time.Time) {
	if p.relinked() {
		p.holding = true
		return
	}
	number := strconv.FormatUint(u.id, 36)
	for _, m := range u.batch {
		if len(u.batch) > 1 {
			p.nameBatch(m, number, u.tries)
		}
		if err := p.nc.PublishMsg(m); err != nil {
			if permanent(err) {
				go p.resolve(u.id, api.Errorf(api.TooLarge, "publish", "%w", err))
				return
			}
			p.holding = true // reconnecting: resend will take it up
			u.tries++
			return
		}
	}
	u.tries++
	u.sent = now
}

// relinked tells whether the connection is another than the last time: what was
// on its way may be lost, and must be sent before anything new.
func (p *publisher) relinked() bool {
	n := p.nc.Stats().Reconnects
	changed := n != p.links
	p.links = n
	return changed
}

func permanent(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) || errors.Is(err, nats.ErrHeadersNotSupported)
}

func (p *publisher) onAck(m *nats.Msg) {
	id, err := strconv.ParseUint(m.Subject[len(p.prefix):], 36, 64)
	if err != nil {
		return
	}
	v, err := readAck(m)
	switch v {
	case foreign: // the stream's answer is still to come
		return
	case again: // keep it, and all after it, for a moment
		p.mu.Lock()
		p.holding = true
		if u := p.ring[id%maxUnacked]; u != nil && id >= p.first {
			u.sent = time.Time{} // it is certain that this one was not stored
		}
		p.mu.Unlock()
	case stored, refused:
		p.resolve(id, err)
	}
}

// resolve ends one publish. A second ack for the same number finds nothing.
func (p *publisher) resolve(id uint64, err error) {
	p.mu.Lock()
	if id < p.first || id >= p.next {
		p.mu.Unlock()
		return
	}
	u := p.ring[id%maxUnacked]
	if u == nil {
		p.mu.Unlock()
		return
	}
	p.drop(id)
	p.mu.Unlock()
	p.metrics.PublishAck(time.Since(u.since), err == nil)
	if u.done != nil {
		u.done(err)
	}
}

// drop takes a number out; called with the lock held.
func (p *publisher) drop(id uint64) {
	p.count--
	p.bytes -= p.ring[id%maxUnacked].size
	p.ring[id%maxUnacked] = nil
	for p.first < p.next && p.ring[p.first%maxUnacked] == nil {
		p.first++
	}
}

// pending is the number of publishes not yet acknowledged.
func (p *publisher) pending() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}
