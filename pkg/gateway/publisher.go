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
	bytes   int
	holding bool // do not send: the connection is down, or a resend is due
}

// unacked is one publish, or one atomic batch, that waits for its ack.
type unacked struct {
	batch []*nats.Msg // the last one asks for the ack
	one   [1]*nats.Msg
	done  func(err error)
	size  int
	since time.Time
	sent  time.Time // zero: not yet
	again bool      // has ids: may be sent again
}

func newPublisher(nc *nats.Conn, log *slog.Logger, m *metrics.Metrics, unique string) (*publisher, error) {
	p := &publisher{nc: nc, log: log, metrics: m, prefix: nats.NewInbox() + ".", idBase: unique + "-", first: 1, next: 1}
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
	if p.next-p.first >= maxUnacked || p.bytes+u.size > maxUnackedBytes {
		return api.Errorf(api.Busy, "publish", "too many messages wait to be stored, try later")
	}
	id := p.next
	p.next++
	number := strconv.FormatUint(id, 36)
	last := len(u.batch) - 1
	u.batch[last].Reply = p.prefix + number
	if u.again {
		for i, m := range u.batch {
			p.identify(m, number, i, last)
		}
	}
	u.since = time.Now()
	p.ring[id%maxUnacked] = u
	p.bytes += u.size
	if !p.holding {
		p.send(u, u.since)
	}
	return nil
}

// identify gives a message the id by which JetStream knows a repeat.
func (p *publisher) identify(m *nats.Msg, number string, i, last int) {
	if m.Header.Get(nats.MsgIdHdr) == "" {
		id := p.idBase + number
		if last > 0 {
			id += "." + strconv.Itoa(i)
		}
		setHeader(m, nats.MsgIdHdr, id)
	}
	if last > 0 {
		setHeader(m, "Nats-Batch-Id", p.idBase+number)
		setHeader(m, "Nats-Batch-Sequence", strconv.Itoa(i+1))
		if i == last {
			setHeader(m, "Nats-Batch-Commit", "1")
		}
	}
}

func setHeader(m *nats.Msg, name, value string) {
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	m.Header[name] = []string{value}
}

// send is called with the lock held, which keeps the order.
func (p *publisher) send(u *unacked, now time.Time) {
	for _, m := range u.batch {
		if err := p.nc.PublishMsg(m); err != nil {
			if permanent(err) {
				go p.fail(m.Reply, api.Errorf(api.TooLarge, "publish", "%w", err))
				return
			}
			p.holding = true // reconnecting: resend will take it up
			return
		}
	}
	u.sent = now
}

func permanent(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) || errors.Is(err, nats.ErrHeadersNotSupported)
}

func (p *publisher) fail(reply string, err error) {
	if id, perr := strconv.ParseUint(reply[len(p.prefix):], 36, 64); perr == nil {
		p.resolve(id, err)
	}
}

func (p *publisher) onAck(m *nats.Msg) {
	id, err := strconv.ParseUint(m.Subject[len(p.prefix):], 36, 64)
	if err != nil {
		return
	}
	err, retry := readAck(m)
	if retry { // no leader yet, or no responders: keep it, and all after it, for a moment
		p.mu.Lock()
		p.holding = true
		if u := p.ring[id%maxUnacked]; u != nil && id >= p.first {
			u.sent = time.Time{} // it is certain that this one was not stored
		}
		p.mu.Unlock()
		return
	}
	p.resolve(id, err)
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
	n := 0
	for id := p.first; id < p.next; id++ {
		if p.ring[id%maxUnacked] != nil {
			n++
		}
	}
	return n
}
