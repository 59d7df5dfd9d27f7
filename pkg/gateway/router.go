package gateway

import (
	"hash/maphash"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"sluice/pkg/metrics"
)

// routerBacklog is how many messages may wait for one shard of the router
// before NATS counts this node as a slow consumer and drops.
const routerBacklog = 1 << 16

// router brings messages to subscriptions of devices: one NATS subscription for
// each distinct filter of the node, however many devices share it. NATS names
// the subscription that a message came by, so nothing is matched here again.
//
// Goroutines: one for each shard; a filter stays in its shard, which keeps the
// order of its messages.
type router struct {
	nc      *nats.Conn
	metrics *metrics.Metrics
	shards  []*shard
	seed    maphash.Seed
	filters atomic.Int64 // NATS subscriptions
	wg      sync.WaitGroup
}

type shard struct {
	in chan *nats.Msg

	mu       sync.RWMutex
	byFilter map[string]*route
	bySub    map[*nats.Subscription]*route
}

type route struct {
	sub     *nats.Subscription
	known   atomic.Bool               // NATS has confirmed the filter
	targets atomic.Pointer[[]*target] // copied on change: delivery takes no lock
}

// target is one subscription of one client.
type target struct {
	client *client
	id     string

	mu    sync.Mutex
	ended bool
}

// deliver hands a message on, unless the subscription has ended.
func (t *target) deliver(in *Inbound) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.client.deliver(t, in)
	}
}

// end returns when no delivery is under way and none will come.
func (t *target) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
}

func newRouter(nc *nats.Conn, m *metrics.Metrics) *router {
	r := &router{nc: nc, metrics: m, seed: maphash.MakeSeed()}
	for range min(runtime.GOMAXPROCS(0), 8) {
		s := &shard{in: make(chan *nats.Msg, routerBacklog), byFilter: map[string]*route{}, bySub: map[*nats.Subscription]*route{}}
		r.shards = append(r.shards, s)
		r.wg.Go(s.run)
	}
	return r
}

// close ends the shards. All clients must be closed before.
func (r *router) close() {
	for _, s := range r.shards {
		s.mu.Lock()
		for _, rt := range s.byFilter {
			_ = rt.sub.Unsubscribe() // the connection is about to close anyway
		}
		s.mu.Unlock()
		s.in <- nil
	}
	r.wg.Wait()
}

func (r *router) shard(filter string) *shard {
	return r.shards[maphash.String(r.seed, filter)%uint64(len(r.shards))]
}

// add puts a target under a filter. Unless NATS is known to know the filter,
// the caller must flush before it promises delivery, also when another target
// was there first: that one's flush may still be on its way.
func (r *router) add(filter string, t *target) (rt *route, err error) {
	s := r.shard(filter)
	s.mu.Lock()
	defer s.mu.Unlock()
	if rt = s.byFilter[filter]; rt == nil {
		rt = &route{}
		if rt.sub, err = r.nc.ChanSubscribe(filter, s.in); err != nil {
			return nil, err
		}
		s.byFilter[filter], s.bySub[rt.sub] = rt, rt
		r.changed(1)
	}
	targets := []*target{t}
	if old := rt.targets.Load(); old != nil {
		targets = append(slices.Clone(*old), t)
	}
	rt.targets.Store(&targets)
	return rt, nil
}

// remove takes a target away; the last one ends the NATS subscription.
func (r *router) remove(filter string, t *target) {
	s := r.shard(filter)
	s.mu.Lock()
	defer s.mu.Unlock()
	rt := s.byFilter[filter]
	if rt == nil {
		return
	}
	targets := slices.DeleteFunc(slices.Clone(*rt.targets.Load()), func(x *target) bool { return x == t })
	rt.targets.Store(&targets)
	if len(targets) == 0 {
		delete(s.byFilter, filter)
		delete(s.bySub, rt.sub)
		r.changed(-1)
		_ = rt.sub.Unsubscribe() // fails only when the connection is closed
	}
}

func (s *shard) run() {
	for m := range s.in {
		if m == nil {
			return
		}
		s.mu.RLock()
		rt := s.bySub[m.Sub]
		s.mu.RUnlock()
		if rt == nil {
			continue // unsubscribed meanwhile
		}
		in := newInbound(m.Subject, m.Header, m.Data)
		for _, t := range *rt.targets.Load() {
			t.deliver(in)
		}
	}
}

// changed counts NATS subscriptions made and ended.
func (r *router) changed(by int64) { r.metrics.Subscriptions(int(r.filters.Add(by))) }
