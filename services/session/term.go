package session

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/streams"
)

// gaugeEvery is how often the length of all queues is asked for.
const gaugeEvery = 10 * time.Second

// How long a term that ends in peace waits for the answers of devices, and for
// the deletions that follow from them.
const (
	drainAnswers = 200 * time.Millisecond
	drainDeletes = 500 * time.Millisecond
	drainTick    = 5 * time.Millisecond
)

// term is one time of being the owner: all that is known in memory lives and
// ends with it. Its goroutines: the reader of the fan-out, the workers, the
// sweep, and one for each of two subscriptions; run waits for all of them.
type term struct {
	*Service
	lease *natsx.Lease
	inbox string // of all answers

	data, queue, records messages
	kv                   jetstream.KeyValue

	idx   index
	lanes *lanes
	pool  *pool

	draining atomic.Bool // nothing more is sent

	mu      sync.RWMutex
	clients map[string]*client
	handles map[uint64]*sub
	handle  uint64
}

func newTerm(s *Service, lease *natsx.Lease) *term {
	t := &term{
		Service: s, lease: lease, inbox: s.NC.NewInbox(), pool: newPool(),
		clients: map[string]*client{}, handles: map[uint64]*sub{},
	}
	t.idx.busy = make(chan struct{}, 1)
	t.lanes = newLanes(t.sendCopy)
	return t
}

// run works until ctx ends, or returns why it could not begin.
func (t *term) run(ctx context.Context) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	fan := &fanout{t: t}
	if err := t.load(ctx); err != nil {
		return err
	}
	for what, f := range map[string]nats.MsgHandler{".q.*": t.onStored, ".d.>": t.onAnswer} {
		stop, err := t.listen(what, f)
		if err != nil {
			return err
		}
		defer stop()
	}
	ctx, cancel := context.WithCancel(ctx)
	working, stopWork := context.WithCancel(context.WithoutCancel(ctx)) // for drain, which comes after ctx
	var busy sync.WaitGroup
	defer busy.Wait()
	defer t.pool.close()
	defer stopWork()
	defer cancel()
	for range workers {
		busy.Go(func() { t.work(working) })
	}
	busy.Go(func() { t.sweep(ctx) })
	busy.Go(func() { fan.run(ctx) })
	if err := t.serve(ctx); err != nil {
		return err
	}
	t.drain()
	return context.Cause(ctx)
}

func (t *term) open(ctx context.Context) (err error) {
	if t.data, err = openMessages(ctx, t.JS, streams.Data); err != nil {
		return err
	}
	if t.queue, err = openMessages(ctx, t.JS, streams.Queue); err != nil {
		return err
	}
	if t.records, err = openMessages(ctx, t.JS, "KV_"+streams.Sessions); err != nil {
		return err
	}
	if t.kv, err = t.JS.KeyValue(ctx, streams.Sessions); err != nil {
		return fmt.Errorf("session: %s: %w", streams.Sessions, err)
	}
	return nil
}

// listen takes answers until stop, which waits for the last one.
func (t *term) listen(what string, f nats.MsgHandler) (stop func(), err error) {
	sub, err := t.NC.Subscribe(t.inbox+what, f)
	if err != nil {
		return nil, fmt.Errorf("session: listen for answers: %w", err)
	}
	over := make(chan struct{})
	sub.SetClosedHandler(func(string) { close(over) })
	return func() {
		if sub.Unsubscribe() == nil { // else the connection is closed, and its goroutines with it
			<-over
		}
	}, nil
}

// serve answers edges until ctx ends.
func (t *term) serve(ctx context.Context) error {
	ms, err := natsx.Serve(t.NC, "session", t.Version, "durable subscriptions and their queues")
	if err != nil {
		return err
	}
	defer func() {
		t.active.Store(false)
		if err := ms.Stop(); err != nil && !t.NC.IsClosed() {
			t.Log.Warn("session: service not stopped cleanly", "error", err)
		}
	}()
	ms.OnInternal(t.onInternal)
	if err := natsx.Handle(ms, "subscribe", while(ctx, t.subscribe)); err != nil {
		return err
	}
	if err := natsx.Handle(ms, "unsubscribe", while(ctx, t.unsubscribe)); err != nil {
		return err
	}
	t.active.Store(true)
	t.life.SetReady()
	t.Log.Info("session: active", "subscriptions", t.idx.size())
	<-ctx.Done()
	return nil
}

// while has a verb end with the term as well.
func while[Req any](term context.Context, f func(context.Context, Req) error) func(context.Context, Req) (struct{}, error) {
	return func(ctx context.Context, req Req) (struct{}, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(term, cancel)()
		return struct{}{}, f(ctx, req)
	}
}

// drain is the end of a term that still has its lease: what devices acknowledge
// now is deleted, so that the next owner does not deliver it again.
func (t *term) drain() {
	t.draining.Store(true)
	defer t.lanes.acknowledge()
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for since := time.Now(); t.lease.Valid() && t.NC.IsConnected(); <-tick.C {
		took := time.Since(since)
		if took > drainDeletes || t.quiet(took > drainAnswers) {
			return
		}
	}
}

// quiet tells whether nothing is left to be deleted, nor answered.
func (t *term) quiet(unanswered bool) bool {
	for _, s := range t.all() {
		if !s.quiet(unanswered) {
			return false
		}
	}
	return true
}

// newSub makes a subscription known to the answers.
func (t *term) newSub(cl *client, id string) *sub {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.handle++
	s := &sub{cl: cl, id: id, handle: t.handle, queue: cl.key.QueueSubject(id)}
	s.f.pace = pace{retx: t.Retx, nakStep: t.NakStep, maxDeliver: t.MaxDeliver, lost: t.Lost}
	t.handles[s.handle] = s
	cl.subs[id] = s
	return s
}

// end drops a subscription from memory. cl.mu is held.
func (t *term) end(s *sub) {
	t.idx.remove(s)
	s.close()
	delete(s.cl.subs, s.id)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.handles, s.handle)
}

func (t *term) byHandle(h uint64) *sub {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.handles[h]
}

func (t *term) all() []*sub {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := make([]*sub, 0, len(t.handles))
	for _, s := range t.handles {
		all = append(all, s)
	}
	return all
}

// client gives a session, locked; a new one is empty and gone with release if
// nothing becomes of it.
func (t *term) client(key api.ClientKey) *client {
	name := key.String()
	for {
		t.mu.Lock()
		cl := t.clients[name]
		if cl == nil {
			cl = newClient(key)
			t.clients[name] = cl
		}
		t.mu.Unlock()
		cl.mu.Lock()
		if !cl.dead {
			return cl
		}
		cl.mu.Unlock()
	}
}

// release unlocks a session, and drops it when nothing is left of it.
func (t *term) release(cl *client) {
	defer cl.mu.Unlock()
	if len(cl.subs) > 0 || cl.rev != 0 || cl.unsure {
		return
	}
	cl.dead = true
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.clients, cl.name)
}

func (t *term) gauge(ctx context.Context) time.Duration {
	if info, err := t.queue.state(ctx); err == nil {
		t.Metrics.QueueMessages(int(min(info.State.Msgs, 1<<31-1)))
	}
	return gaugeEvery
}
