package session

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
)

// client is one session: its record and its subscriptions.
type client struct {
	key  api.ClientKey
	name string // key as a string

	mu     sync.Mutex // held while its record is written
	rec    api.Session
	rev    uint64 // of the record in GW_SESSIONS, 0 = none
	subs   map[string]*sub
	unsure bool // a write ended without an answer: the record is to be read
	dead   bool // not in the table any more: look again
}

// sub is one durable subscription with its queue.
type sub struct {
	cl     *client
	id     string
	handle uint64 // names it in the addresses of answers
	queue  string // subject

	subjects []string // these three belong to the index
	from     uint64
	stamp    uint64

	mu     sync.Mutex
	f      flight
	node   string // delivery goes there
	epoch  uint64
	gen    uint64  // counts attachments: an answer to an older one means little
	hint   *queued // the next message, when the fan-out has just stored it
	lost   bool    // the record must still be told that the client has gone
	closed bool    // forgotten
	drops  map[string]uint64

	turn turn // belongs to the pool
}

// target is where the messages of an attachment go.
type target struct {
	node       string
	epoch, gen uint64
}

func (s *sub) attach(node string, epoch uint64, window int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen++
	s.node, s.epoch, s.hint, s.lost = node, epoch, nil, false
	s.f.attach(window)
}

func (s *sub) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gen++
	s.hint, s.lost = nil, false
	s.f.detach()
}

// close ends it for good; what workers still do for it has no effect.
func (s *sub) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.gen++
	s.f = flight{pace: s.f.pace}
	s.hint, s.lost = nil, false
}

// gone ends delivery because the node says so; the record follows.
func (s *sub) gone() {
	s.gen++
	s.hint, s.lost = nil, true
	s.f.detach()
}

// stored is the fan-out's word that the queue has message seq; m may be used
// instead of reading it, nil tells that it may be gone already. The result tells
// whether a worker should look.
func (s *sub) stored(m *queued, seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.f.stored(seq) && m != nil {
		s.hint = m
	}
	return s.f.attached
}

// dropped counts a message that its queue did not take.
func (s *sub) dropped(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drops == nil {
		s.drops = map[string]uint64{}
	}
	s.drops[reason]++
}

func (s *sub) takeDrops() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.drops
	s.drops = nil
	return d
}

// due tells whether a worker has something to do.
func (s *sub) due(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost || s.f.next(now).do != idle
}

// quiet tells whether nothing is to be deleted and, unless unanswered ones do
// not count, no answer is awaited.
func (s *sub) quiet(unanswered bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.f.doomed)+len(s.f.dying) == 0 && (unanswered || len(s.f.shots) == 0)
}

// answered takes the word of an edge about seq, given to attachment gen.
func (s *sub) answered(gen, seq uint64, m *nats.Msg, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if string(m.Data) == api.DeliverAck {
		s.f.ack(seq)
		return
	}
	switch {
	case gen != s.gen || s.closed:
	case string(m.Data) == api.DeliverNak:
		s.f.nak(seq, now)
	case strings.HasPrefix(string(m.Data), api.DeliverGap+" "):
		if last, err := strconv.ParseUint(string(m.Data[len(api.DeliverGap)+1:]), 10, 64); err == nil && last < seq {
			s.f.gap(last, now)
			s.hint = nil // reading goes back
		}
	case string(m.Data) == api.DeliverGone:
		s.gone()
	case len(m.Data) == 0 && m.Header.Get("Status") == "503":
		if s.f.unreachable(seq, now) {
			s.gone()
		}
	}
}
