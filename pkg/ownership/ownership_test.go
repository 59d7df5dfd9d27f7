package ownership

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	partitions = 64
	ttl        = 6 * time.Second
	every      = 1500 * time.Millisecond
)

// board is a table in memory, in the time of the test.
type board struct {
	mu      sync.Mutex
	members map[string]*holding
	held    map[int]*holding
	watches map[chan struct{}]bool
}

type holding struct {
	b       *board
	node    string
	until   time.Time // for the table
	trusted time.Time // for the holder, who counts from before
	gone    bool
	cut     *bool // its process does not reach the table
	drop    func()
}

var errCut = errors.New("the table cannot be reached")

func newBoard() *board {
	return &board{members: map[string]*holding{}, held: map[int]*holding{}, watches: map[chan struct{}]bool{}}
}

// expire takes out what nobody renewed.
func (b *board) expire() {
	for k, h := range b.members {
		if !time.Now().Before(h.until) {
			delete(b.members, k)
			b.changed()
		}
	}
	for k, h := range b.held {
		if !time.Now().Before(h.until) {
			delete(b.held, k)
			b.changed()
		}
	}
}

func (b *board) changed() {
	for c := range b.watches {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// seat is one process's way to the board.
type seat struct {
	*board
	cut bool
}

func (s *seat) hold(node string, ttl time.Duration, drop func()) *holding {
	now := time.Now()
	return &holding{b: s.board, node: node, until: now.Add(ttl), trusted: now.Add(ttl), cut: &s.cut, drop: drop}
}

func (s *seat) Join(_ context.Context, node string, ttl time.Duration) (Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expire(); s.cut {
		return nil, errCut
	}
	if s.members[node] != nil {
		return nil, ErrHeld
	}
	h := s.hold(node, ttl, func() { delete(s.members, node) })
	s.members[node] = h
	s.changed()
	return h, nil
}

func (s *seat) Acquire(_ context.Context, n int, node string, ttl time.Duration) (Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expire(); s.cut {
		return nil, errCut
	}
	if s.held[n] != nil {
		return nil, ErrHeld
	}
	h := s.hold(node, ttl, func() { delete(s.held, n) })
	s.held[n] = h
	s.changed()
	return h, nil
}

func (s *seat) Watch(ctx context.Context, changed func(State)) error {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	s.watches[c] = true
	s.mu.Unlock()
	defer func() { s.mu.Lock(); delete(s.watches, c); s.mu.Unlock() }()
	tick := time.NewTicker(500 * time.Millisecond) // the server finds expired keys in its own time
	defer tick.Stop()
	for {
		s.mu.Lock()
		s.expire()
		st, cut := State{Held: map[int]string{}}, s.cut
		for node := range s.members {
			st.Members = append(st.Members, node)
		}
		for n, h := range s.held {
			st.Held[n] = h.node
		}
		s.mu.Unlock()
		if cut {
			return errCut
		}
		changed(st)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c:
		case <-tick.C:
		}
	}
}

func (h *holding) Valid() bool {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	return !h.gone && time.Now().Before(h.trusted)
}

func (h *holding) Renew(context.Context) error {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	switch now := time.Now(); {
	case h.gone || !now.Before(h.trusted) || !now.Before(h.until):
		h.gone = true
		return ErrLost
	case *h.cut:
		return errCut
	default:
		h.until, h.trusted = now.Add(ttl), now.Add(ttl)
		return nil
	}
}

func (h *holding) Release(context.Context) error {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	mine := !h.gone && time.Now().Before(h.until)
	h.gone = true
	if *h.cut {
		return errCut
	}
	if mine {
		h.drop()
		h.b.changed()
	}
	return nil
}

// process is one that takes part.
type process struct {
	t    *testing.T
	seat *seat
	stop context.CancelFunc
	done chan struct{}

	mu   sync.Mutex
	owns map[int]Lease
}

func start(t *testing.T, b *board, node string) *process {
	ctx, stop := context.WithCancel(context.Background())
	p := &process{t: t, seat: &seat{board: b}, stop: stop, done: make(chan struct{}), owns: map[int]Lease{}}
	go func() {
		defer close(p.done)
		_ = Run(ctx, Config{Node: node, Partitions: partitions, TTL: ttl, Every: every, Table: p.seat, Work: p.work})
	}()
	return p
}

func (p *process) work(ctx context.Context, n int, l Lease) error {
	p.mu.Lock()
	p.owns[n] = l
	p.mu.Unlock()
	<-ctx.Done()
	p.mu.Lock()
	delete(p.owns, n)
	p.mu.Unlock()
	return nil
}

// valid are the partitions that the process may work for at this moment.
func (p *process) valid() (out []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n, l := range p.owns {
		if l.Valid() {
			out = append(out, n)
		}
	}
	return out
}

func (p *process) cut(yes bool) {
	p.seat.mu.Lock()
	defer p.seat.mu.Unlock()
	p.seat.cut = yes
}

func (p *process) end() { p.stop(); <-p.done }

// oneOwner insists that no partition has two at this moment, in which nothing
// moves, and gives how many have one.
func oneOwner(t *testing.T, all map[string]*process) (owned int) {
	t.Helper()
	synctest.Wait()
	owner := map[int]string{}
	for node, p := range all {
		for _, n := range p.valid() {
			require.Empty(t, owner[n], "partition %d has two owners: %s", n, node)
			owner[n] = node
		}
	}
	return len(owner)
}

func even(t *testing.T, all map[string]*process) {
	t.Helper()
	require.Equal(t, partitions, oneOwner(t, all))
	for node, p := range all {
		share := len(p.valid())
		require.GreaterOrEqual(t, share, partitions/len(all), node)
		require.LessOrEqual(t, share, (partitions+len(all)-1)/len(all), node)
	}
}

func TestSharesAreEven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, all := newBoard(), map[string]*process{}
		for i, node := range []string{"a", "b", "c", "d", "e"} {
			all[node] = start(t, b, node)
			time.Sleep(3 * time.Second)
			synctest.Wait()
			require.Len(t, all, i+1)
			even(t, all)
		}
		for _, node := range []string{"c", "a", "e"} {
			all[node].end()
			delete(all, node)
			time.Sleep(time.Second)
			synctest.Wait()
			even(t, all) // within a second of the goodbye
		}
		for _, p := range all {
			p.end()
		}
		require.Empty(t, b.held)
		require.Empty(t, b.members)
	})
}

// TestDeathAndPause: a process that cannot reach the table any more is replaced
// within 10 s, knows by its own clock that it must not go on, and takes part
// again when it is back.
func TestDeathAndPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBoard()
		all := map[string]*process{"a": start(t, b, "a"), "b": start(t, b, "b")}
		time.Sleep(5 * time.Second)
		even(t, all)
		all["a"].cut(true)
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			oneOwner(t, all)
		}
		require.Len(t, all["b"].valid(), partitions)
		require.Empty(t, all["a"].valid())
		all["a"].cut(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		even(t, all)
		for _, p := range all {
			p.end()
		}
	})
}

// TestShortCutCostsNothing: an outage that is shorter than the leases.
func TestShortCutCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := start(t, newBoard(), "a")
		time.Sleep(5 * time.Second)
		require.Len(t, p.valid(), partitions)
		p.cut(true)
		time.Sleep(3 * time.Second)
		p.cut(false)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		require.Len(t, p.valid(), partitions)
		p.end()
	})
}

func TestRandomHistories(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			b, all, next := newBoard(), map[string]*process{}, 'a'
			for range 60 {
				var some *process
				var name string
				for name, some = range all {
					break
				}
				switch what := r.IntN(5); {
				case what < 2 && len(all) < 5:
					all[string(next)] = start(t, b, string(next))
					next++
				case what == 2 && some != nil:
					some.end()
					delete(all, name)
				case what == 3 && some != nil:
					some.cut(true)
				case some != nil:
					some.cut(false)
				}
				for range r.IntN(40) {
					time.Sleep(200 * time.Millisecond)
					oneOwner(t, all)
				}
			}
			for _, p := range all {
				p.cut(false)
			}
			time.Sleep(30 * time.Second)
			synctest.Wait()
			if len(all) > 0 {
				even(t, all)
			}
			for _, p := range all {
				p.end()
			}
		})
	}
}
