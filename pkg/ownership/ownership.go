// Package ownership shares partitions evenly among the live processes of a
// service: every partition has one owner, by a lease. It does not know what
// owning means; [Config.Work] does.
//
// A process says that it takes part by a lease of its own. Members in the order
// of their names get an equal share, the first ones one more where it does not
// come out even. Who has more than its share gives away, who has less takes what
// is free; so a change of members moves no more than it must.
package ownership

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Lease is what a partition is owned by.
type Lease interface {
	// Valid tells whether the last renewal still covers this moment.
	Valid() bool
	Renew(ctx context.Context) error // ErrLost: never valid again
	Release(ctx context.Context) error
}

// Errors of a Table and its leases.
var (
	ErrHeld = errors.New("ownership: held by another")
	ErrLost = errors.New("ownership: lease lost")
)

// State is what a Table shows: who takes part, and which partitions have an
// owner.
type State struct {
	Members []string
	Held    map[int]string // partition -> process
}

// Table is where leases lie. All its methods may be called at once.
type Table interface {
	Join(ctx context.Context, node string, ttl time.Duration) (Lease, error)
	Acquire(ctx context.Context, partition int, node string, ttl time.Duration) (Lease, error)
	// Watch gives the state whenever it changes, until ctx ends; it returns the
	// error that broke it.
	Watch(ctx context.Context, changed func(State)) error
}

// Config is what Run needs.
type Config struct {
	Node       string
	Partitions int
	TTL        time.Duration // of leases
	Every      time.Duration // between renewals
	Log        *slog.Logger
	Table      Table
	// Work is one time of owning a partition, in a goroutine of its own. ctx ends
	// when the lease is lost or is to be given away; it is released afterwards.
	Work func(ctx context.Context, partition int, lease Lease) error
	// Settled is called once every partition has an owner, with the number of
	// those that this process owns. May be nil.
	Settled func(mine int)
}

const (
	atOnce = 16 // requests to the table
	check  = time.Second
	hurry  = 250 * time.Millisecond
)

// Why Work is to end.
var (
	errGiven = errors.New("ownership: another process is to have the partition")
	errOver  = errors.New("ownership: this process leaves")
)

// share is one process's part.
type share struct {
	Config
	look    chan struct{} // something changed
	atOnce  chan struct{}
	working sync.WaitGroup

	mu     sync.Mutex
	state  State
	seen   bool // the state is known
	member Lease
	owned  map[int]*owned
	taking map[int]bool
}

// owned is a partition that this process has.
type owned struct {
	lease Lease
	end   context.CancelCauseFunc
	given bool
}

// Run takes part until ctx ends, and then gives everything away. Its goroutines:
// the watch, the renewals, one a partition; all have ended when it returns.
func Run(ctx context.Context, c Config) error {
	s := &share{
		Config: c, look: make(chan struct{}, 1), atOnce: make(chan struct{}, atOnce),
		owned: map[int]*owned{}, taking: map[int]bool{},
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx)) // renewals go on while Work ends
	var busy sync.WaitGroup
	busy.Go(func() { s.watch(ctx) })
	busy.Go(func() { s.renew(life) })
	tick := time.NewTicker(check)
	defer tick.Stop()
	for ctx.Err() == nil {
		s.balance(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-s.look:
		}
	}
	s.leave(life)
	stop()
	busy.Wait()
	return nil
}

// watch keeps the state.
func (s *share) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.Table.Watch(ctx, func(st State) {
			s.mu.Lock()
			s.state, s.seen = st, true
			s.mu.Unlock()
			s.poke()
		})
		if ctx.Err() == nil {
			s.Log.Debug("ownership: the watch ended", "error", err)
			wait(ctx, hurry)
		}
	}
}

func (s *share) poke() {
	select {
	case s.look <- struct{}{}:
	default:
	}
}

// balance joins, gives away what is too much, and takes what is free.
func (s *share) balance(ctx context.Context) {
	if !s.joined(ctx) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.seen || !slices.Contains(s.state.Members, s.Node) {
		return
	}
	if s.Settled != nil && len(s.state.Held) == s.Partitions && len(s.taking) == 0 {
		s.Settled(len(s.owned))
		s.Settled = nil
	}
	want := quota(s.state.Members, s.Node, s.Partitions)
	have := s.holding()
	for _, o := range s.owned {
		if have <= want {
			break
		}
		if !o.given {
			o.given = true
			o.end(errGiven)
			have--
		}
	}
	for n := range s.Partitions {
		if have+len(s.taking) >= want {
			return
		}
		if s.state.Held[n] == "" && s.owned[n] == nil && !s.taking[n] {
			s.taking[n] = true
			s.working.Go(func() { s.take(ctx, n) })
		}
	}
}

// holding is the number of partitions that are not being given away. s.mu is held.
func (s *share) holding() (n int) {
	for _, o := range s.owned {
		if !o.given {
			n++
		}
	}
	return n
}

// quota is the share of a member.
func quota(members []string, node string, partitions int) int {
	members = slices.Sorted(slices.Values(members))
	n := partitions / len(members)
	if slices.Index(members, node) < partitions%len(members) {
		n++
	}
	return n
}

// joined makes sure that this process takes part.
func (s *share) joined(ctx context.Context) bool {
	s.mu.Lock()
	m := s.member
	s.mu.Unlock()
	if m != nil && m.Valid() {
		return true
	}
	m, err := s.Table.Join(ctx, s.Node, s.TTL)
	if err != nil {
		s.Log.Debug("ownership: not joined", "error", err)
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.member = m
	return true
}

// take is a partition's time in this process.
func (s *share) take(ctx context.Context, n int) {
	s.atOnce <- struct{}{}
	lease, err := s.Table.Acquire(ctx, n, s.Node, s.TTL)
	<-s.atOnce
	s.mu.Lock()
	delete(s.taking, n)
	if err != nil {
		s.mu.Unlock()
		return // another was faster, or the next check tries again
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	o := &owned{lease: lease, end: end}
	s.owned[n] = o
	s.mu.Unlock()
	s.poke()
	if err := s.Work(ctx, n, lease); err != nil && context.Cause(ctx) == nil {
		s.Log.Warn("ownership: the work for a partition failed", "partition", n, "error", err)
		wait(ctx, hurry)
	}
	s.release(ctx, n, o)
}

// release gives a lease back, and only then forgets it.
func (s *share) release(ctx context.Context, n int, o *owned) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.TTL)
	defer cancel()
	s.atOnce <- struct{}{}
	if err := o.lease.Release(ctx); err != nil {
		s.Log.Debug("ownership: lease not released", "partition", n, "error", err)
	}
	<-s.atOnce
	s.mu.Lock()
	delete(s.owned, n)
	s.mu.Unlock()
	s.poke()
}

// renew renews all leases, some at a time. One that is lost ends its work.
func (s *share) renew(ctx context.Context) {
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var all sync.WaitGroup
		for _, o := range s.leases() {
			s.atOnce <- struct{}{}
			all.Go(func() {
				defer func() { <-s.atOnce }()
				s.renewOne(ctx, o)
			})
		}
		all.Wait()
	}
}

func (s *share) renewOne(ctx context.Context, o *owned) {
	ctx, cancel := context.WithTimeout(ctx, s.Every)
	defer cancel()
	err := o.lease.Renew(ctx)
	if errors.Is(err, ErrLost) || !o.lease.Valid() {
		o.end(ErrLost)
	}
}

// leases are all that need renewing, that of the member with them.
func (s *share) leases() (all []*owned) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.member != nil && s.member.Valid() {
		all = append(all, &owned{lease: s.member, end: func(error) {}})
	}
	for _, o := range s.owned {
		all = append(all, o)
	}
	return all
}

// leave ends all work and takes part no more.
func (s *share) leave(ctx context.Context) {
	s.mu.Lock()
	for _, o := range s.owned {
		o.end(errOver)
	}
	m := s.member
	s.mu.Unlock()
	s.working.Wait()
	if m != nil {
		ctx, cancel := context.WithTimeout(ctx, s.TTL)
		defer cancel()
		if err := m.Release(ctx); err != nil {
			s.Log.Debug("ownership: lease of the member not released", "error", err)
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
