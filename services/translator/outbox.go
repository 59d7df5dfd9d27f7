package translator

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	maxFlying = 512              // messages of a partition that are not stored yet
	ackWithin = 10 * time.Second // then the partition begins again at its checkpoint
)

// outbox publishes in order and knows up to where everything is stored. The first
// failure ends it: what follows a message that was not stored must not pass it.
type outbox struct {
	js     jetstream.JetStream
	stored *newest
	fail   context.CancelCauseFunc
	flying chan flight
	over   chan struct{}

	mu    sync.Mutex
	acked checkpoint // up to here everything is stored
	count int        // flying
}

// flight is one message that is not known to be stored.
type flight struct {
	raw    uint64
	last   bool // of its frame
	future jetstream.PubAckFuture
}

func newOutbox(js jetstream.JetStream, stored *newest, fail context.CancelCauseFunc) *outbox {
	o := &outbox{js: js, stored: stored, fail: fail, flying: make(chan flight, maxFlying), over: make(chan struct{})}
	go o.await()
	return o
}

// send hands a message to JetStream; it waits only while too many are flying.
func (o *outbox) send(ctx context.Context, raw uint64, last bool, m *nats.Msg) error {
	future, err := o.js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0)) // a repeat would come behind what follows
	if err != nil {
		return fmt.Errorf("translator: publish: %w", err)
	}
	o.mu.Lock()
	o.count++
	o.mu.Unlock()
	select {
	case o.flying <- flight{raw, last, future}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// await takes the acknowledgements in the order of the messages, until close.
func (o *outbox) await() {
	defer close(o.over)
	failed := false
	for f := range o.flying {
		if failed {
			continue
		}
		if err := o.one(f); err != nil {
			failed = true
			o.fail(err)
		}
	}
}

func (o *outbox) one(f flight) error {
	late := time.NewTimer(ackWithin)
	defer late.Stop()
	select {
	case ack := <-f.future.Ok():
		o.mu.Lock()
		defer o.mu.Unlock()
		o.count--
		if f.last {
			o.acked = checkpoint{Raw: f.raw, Data: max(o.acked.Data, ack.Sequence)}
		}
		o.stored.raise(ack.Sequence)
		return nil
	case err := <-f.future.Err():
		return fmt.Errorf("translator: not stored: %w", err)
	case <-late.C:
		return fmt.Errorf("translator: not stored within %s", ackWithin)
	}
}

// floor is up to where everything that was read is stored; read is the last raw
// sequence that was read. With nothing flying it is that, and whatever is
// published from now on comes behind all that this process has seen stored.
func (o *outbox) floor(read uint64) checkpoint {
	newest := o.stored.load()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.count > 0 {
		return o.acked
	}
	return checkpoint{Raw: max(o.acked.Raw, read), Data: max(o.acked.Data, newest)}
}

// newest is the highest sequence of GW_DATA that this process has seen.
type newest struct{ seq atomic.Uint64 }

func (n *newest) load() uint64 { return n.seq.Load() }

func (n *newest) raise(to uint64) {
	for {
		was := n.seq.Load()
		if to <= was || n.seq.CompareAndSwap(was, to) {
			return
		}
	}
}

// drain waits until nothing is flying, or ctx ends.
func (o *outbox) drain(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		o.mu.Lock()
		n := o.count
		o.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-o.over:
			return
		case <-tick.C:
		}
	}
}

// close ends await; nothing may be sent any more.
func (o *outbox) close() {
	close(o.flying)
	<-o.over
}
