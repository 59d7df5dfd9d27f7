package session

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/pkg/wheel"
	"sluice/services/session/fanout"
	"sluice/services/session/queue"
)

// client is one session. A million of them may sleep here: what is not needed
// while nothing happens is kept as the record has it, and read when it is.
type client struct {
	p    *partition
	name string // ClientKey.String()

	mu     sync.Mutex // held while its record is written
	raw    []byte     // the record as GW_SESSIONS has it; nil = none
	rev    uint64     // its revision, 0 = none
	subs   []*sub     // one or two, as a rule
	state  api.SessionState
	node   string // where it is connected or awake
	epoch  uint64 // the highest seen: a connection with less is an old one
	clock  wheel.Timer[alarm]
	unsure bool // a write ended without an answer: the record is to be read
	dead   bool // not in the table any more: look again
	loaded []loaded
}

// loaded is a queue that the fan-out does not know yet.
type loaded struct {
	s        *sub
	subjects []string
	from     uint64
}

// alarm is what a timer of the service rings for.
type alarm interface{ ring() }

// sub is one queue of a session: a durable subscription's, or the main queue.
type sub struct {
	fanout.Queue
	cl   *client
	id   string
	turn turn // belongs to the pool

	suspects uint16 // messages that an owner before us may have sent

	mu   sync.Mutex
	live *live // nil while nothing happens
}

// live is what is known of a queue while it is delivered.
type live struct {
	f      queue.Flight
	clock  wheel.Timer[alarm]
	handle uint64 // names it in the addresses of answers
	node   string // delivery goes there
	epoch  uint64
	gen    uint64  // counts attachments: an answer to an older one means little
	hint   *queued // the next message, when it has just been stored
	lost   bool    // the record must still be told that the client has gone
	closed bool    // forgotten, or another's by now
	drops  map[string]uint64
}

// target is where the messages of an attachment go.
type target struct {
	node       string
	epoch, gen uint64
	handle     uint64
}

// record is the record as it was written last.
func (cl *client) record() (rec api.Session, err error) {
	rec.ClientKey, err = api.ParseClientKey(cl.name)
	if err == nil && cl.raw != nil {
		err = json.Unmarshal(cl.raw, &rec)
	}
	if err != nil {
		return rec, fmt.Errorf("session: record of %s: %w", cl.name, err)
	}
	if rec.Subs == nil {
		rec.Subs = map[string]api.DurableSub{}
	}
	return rec, nil
}

func (cl *client) key() api.ClientKey {
	k, err := api.ParseClientKey(cl.name)
	if err != nil { // it was parsed when the client came
		cl.p.Log.Error("session: unreadable client key", "key", cl.name, "error", err)
	}
	return k
}

func (cl *client) sub(id string) *sub {
	if i := slices.IndexFunc(cl.subs, func(s *sub) bool { return s.id == id }); i >= 0 {
		return cl.subs[i]
	}
	return nil
}

// ring is the end of a sleep, or of a session whose client is gone.
func (cl *client) ring() { cl.p.expired(cl) }

// ring has a worker look what is due.
func (s *sub) ring() { s.cl.p.pool.wake(s) }

// wakeful is the live part, made when there is none. s.mu is held.
func (s *sub) wakeful() *live {
	if s.live == nil {
		s.live = &live{f: queue.Flight{Pace: s.cl.p.pace}}
	}
	return s.live
}

// calm lets the live part go when it knows nothing. s.mu is held.
func (s *sub) calm() {
	if l := s.live; l != nil && l.f.Blank() && !l.lost && !l.closed && len(l.drops) == 0 {
		s.cl.p.wheel.Stop(&l.clock)
		s.cl.p.handles.drop(l.handle)
		s.live = nil
	}
}

func (s *sub) attach(node string, epoch uint64, window int, retx api.Retx, tell bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.wakeful()
	if l.handle == 0 {
		l.handle = s.cl.p.handles.add(s)
	}
	l.gen++
	l.node, l.epoch, l.hint, l.lost = node, epoch, nil, false
	l.f.Pace = s.cl.p.pace
	if retx.Interval > 0 {
		l.f.Retx, l.f.Counts, l.f.MaxTries = retx.Interval, true, retx.MaxTries
	}
	l.f.Suspect(int(s.suspects))
	s.suspects = 0
	l.f.Attach(window, tell)
}

func (s *sub) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.live; l != nil {
		l.gen++
		l.hint, l.lost = nil, false
		l.f.Detach()
		s.calm()
	}
}

// close ends it for good; what workers still do for it has no effect.
func (s *sub) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.wakeful()
	s.cl.p.wheel.Stop(&l.clock)
	s.cl.p.handles.drop(l.handle)
	*l = live{closed: true, gen: l.gen + 1, f: queue.Flight{Pace: l.f.Pace}}
}

// gone ends delivery because the node says so; the record follows.
func (l *live) gone() {
	l.gen++
	l.hint, l.lost = nil, true
	l.f.Detach()
}

// stored is the word that the queue has message seq; m may be used instead of
// reading it, nil tells that it may be gone already. The result tells whether a
// worker should look.
func (s *sub) stored(m *queued, seq uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.live
	if l == nil || l.closed {
		return false
	}
	if l.f.Stored(seq) && m != nil {
		l.hint = m
	}
	return l.f.Attached()
}

// dropped counts a message that its queue did not take, and has it told soon.
func (s *sub) dropped(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.wakeful()
	if l.drops == nil {
		l.drops = map[string]uint64{}
		s.cl.p.wheel.Set(&l.clock, s, tellDropsAfter)
	}
	l.drops[reason]++
}

func (s *sub) takeDrops() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		return nil
	}
	d := s.live.drops
	s.live.drops = nil
	return d
}

func (s *sub) quiet(unanswered bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live == nil || s.live.f.Quiet(unanswered)
}

// answered takes the word of an edge about seq, given to attachment gen.
func (s *sub) answered(gen, seq uint64, m *nats.Msg, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.live
	if l == nil {
		return
	}
	if string(m.Data) == api.DeliverAck {
		l.f.Ack(seq)
		return
	}
	switch {
	case gen != l.gen || l.closed:
	case string(m.Data) == api.DeliverNak:
		l.f.Nak(seq, now)
	case strings.HasPrefix(string(m.Data), api.DeliverGap+" "):
		if last, err := strconv.ParseUint(string(m.Data[len(api.DeliverGap)+1:]), 10, 64); err == nil && last < seq {
			l.f.Gap(last, now)
			l.hint = nil // reading goes back
		}
	case string(m.Data) == api.DeliverGone:
		l.gone()
	case len(m.Data) == 0 && m.Header.Get("Status") == "503":
		if l.f.Unreachable(seq, now) {
			l.gone()
		}
	}
}
