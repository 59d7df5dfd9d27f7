package session

import "sync"

// turn is where a subscription stands with the pool.
type turn uint8

const (
	resting turn = iota
	ready
	working
	again // ready while working
)

// pool is the list of subscriptions that have something to do, and hands each
// to one worker at a time.
type pool struct {
	mu     sync.Mutex
	cond   sync.Cond
	list   []*sub
	closed bool
}

func newPool() *pool {
	p := &pool{}
	p.cond.L = &p.mu
	return p
}

// wake has s looked at by a worker, soon.
func (p *pool) wake(s *sub) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch s.turn {
	case resting:
		s.turn = ready
		p.list = append(p.list, s)
		p.cond.Signal()
	case working:
		s.turn = again
	case ready, again: // it will be looked at
	}
}

// take waits for the next one; nil means that the pool is closed.
func (p *pool) take() *sub {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.list) == 0 && !p.closed {
		p.cond.Wait()
	}
	if p.closed {
		return nil
	}
	s := p.list[0]
	p.list[0] = nil
	p.list = p.list[1:]
	s.turn = working
	return s
}

// done gives s back; more says that it wants another turn.
func (p *pool) done(s *sub, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.turn == again || more {
		s.turn = ready
		p.list = append(p.list, s)
		p.cond.Signal()
		return
	}
	s.turn = resting
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.cond.Broadcast()
}
