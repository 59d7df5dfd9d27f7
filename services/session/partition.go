package session

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/ownership"
	"sluice/streams"
)

// How long a partition that is given away waits for the answers of devices, and
// for the deletions that follow from them.
const (
	drainAnswers = 200 * time.Millisecond
	drainDeletes = 500 * time.Millisecond
	drainTick    = 5 * time.Millisecond
	hurry        = 500 * time.Millisecond // pause after a failure that is not the device's
)

var errLeaseOver = errors.New("session: the lease is over")

// errEarly is for what has to wait until everything is read.
var errEarly = api.Errorf(api.Unavailable, "session", "the session service is starting, try later")

// partition is one time of owning a partition: all that is known of its sessions
// in memory lives and ends with it.
type partition struct {
	*Service
	n     int
	calls context.Context // of what outlives a call; bounded where it is used
	lease ownership.Lease
	pos   uint64 // up to here an owner before us has stored all copies

	draining atomic.Bool   // nothing more is sent
	whole    atomic.Bool   // everything is read that an owner before us wrote
	joined   chan struct{} // closed when the fan-out reads for it
	saved    atomic.Uint64 // the position that was written last

	commands commands

	mu      sync.RWMutex
	clients map[string]*client // by ClientKey.String()
}

// lead works for one partition until ctx ends: when the process ends, the lease
// is lost, or another process is to have the partition.
func (s *Service) lead(ctx context.Context, n int, lease ownership.Lease) error {
	p := &partition{Service: s, calls: context.WithoutCancel(ctx), n: n, lease: lease, joined: make(chan struct{}), clients: map[string]*client{}}
	defer p.leave()
	var err error
	if p.pos, err = p.position(ctx); err != nil {
		return err
	}
	stopVerbs, err := p.serve(ctx)
	if err != nil {
		return err
	}
	stopNotices, err := p.restart(ctx)
	if err != nil {
		stopVerbs()
		return err
	}
	defer stopNotices()
	s.owned.add(p)
	s.settled()
	p.deliverAll()
	<-ctx.Done()
	stopVerbs()
	p.drain()
	return context.Cause(ctx)
}

// restart brings everything to where it was under the owner before us: the
// records, the fan-out, the notices. Until it is over only devices that wake up
// are served, since for them no record changes.
func (p *partition) restart(ctx context.Context) (stopNotices func(), err error) {
	if err := p.loader.load(ctx, p); err != nil {
		return nil, err
	}
	if err := p.reader.join(ctx, p); err != nil {
		return nil, err
	}
	if stopNotices, err = p.listen(streams.WakeSubject(p.n), p.onNotice); err == nil {
		p.whole.Store(true)
	}
	return stopNotices, err
}

// deliverAll has delivery begin to the clients that the records say are there.
func (p *partition) deliverAll() {
	for _, cl := range p.all() {
		cl.mu.Lock()
		for _, s := range cl.subs {
			p.pool.wake(s)
		}
		cl.mu.Unlock()
	}
}

// leave forgets everything: from now on another process may work for it.
func (p *partition) leave() {
	p.owned.remove(p)
	for _, cl := range p.all() {
		cl.mu.Lock()
		cl.dead = true
		p.wheel.Stop(&cl.clock)
		for _, s := range cl.subs {
			p.idx.Remove(&s.Queue)
			s.close()
			p.lanes.Drop(&s.Queue)
		}
		cl.mu.Unlock()
	}
}

// drain is the end of a partition while its lease still holds: what devices
// acknowledge now is deleted, so that the next owner does not deliver it again.
func (p *partition) drain() {
	p.draining.Store(true)
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for since := time.Now(); p.lease.Valid() && p.NC.IsConnected(); <-tick.C {
		took := time.Since(since)
		if took > drainDeletes || p.quiet(took > drainAnswers) {
			return
		}
	}
}

// quiet tells whether nothing is left to be deleted, nor answered.
func (p *partition) quiet(unanswered bool) bool {
	for _, s := range p.handles.all() {
		if s.cl.p == p && !s.quiet(unanswered) {
			return false
		}
	}
	return true
}

func (p *partition) all() []*client {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := make([]*client, 0, len(p.clients))
	for _, cl := range p.clients {
		all = append(all, cl)
	}
	return all
}

// client gives a session, locked; a new one is empty and gone with release if
// nothing becomes of it.
func (p *partition) client(name string) *client {
	for {
		p.mu.Lock()
		cl := p.clients[name]
		if cl == nil {
			cl = &client{p: p, name: name, state: api.Offline}
			p.clients[name] = cl
		}
		p.mu.Unlock()
		cl.mu.Lock()
		if !cl.dead {
			return cl
		}
		cl.mu.Unlock()
	}
}

// release unlocks a session, and drops it when nothing is left of it.
func (p *partition) release(cl *client) {
	defer cl.mu.Unlock()
	if len(cl.subs) > 0 || cl.rev != 0 || cl.unsure || cl.dead {
		return
	}
	cl.dead = true
	p.wheel.Stop(&cl.clock)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.clients, cl.name)
}

// newSub makes a queue of a session. cl.mu is held.
func (p *partition) newSub(cl *client, id string) *sub {
	s := &sub{cl: cl, id: id}
	s.Name, s.Owner = queueSubject(p.n, cl.name, id), s
	cl.subs = append(cl.subs, s)
	return s
}

// end drops a queue from memory. cl.mu is held.
func (p *partition) end(s *sub) {
	p.idx.Remove(&s.Queue)
	s.close()
	for i, o := range s.cl.subs {
		if o == s {
			s.cl.subs = append(s.cl.subs[:i:i], s.cl.subs[i+1:]...)
			break
		}
	}
}

// positionKey is where GW_PARTITIONS has the last GW_DATA sequence whose copies
// for a partition are all stored.
func positionKey(n int) string { return "pos." + strconv.Itoa(n) }

// position is where the owner before us was.
func (p *partition) position(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	e, err := p.positions.Get(ctx, positionKey(p.n))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("session: position of partition %d: %w", p.n, err)
	}
	pos, err := strconv.ParseUint(string(e.Value()), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("session: position of partition %d: %w", p.n, err)
	}
	return pos, nil
}
