package session

import (
	"slices"
	"time"
)

// pace is how often things are tried again.
type pace struct {
	retx       time.Duration // without an answer the message is sent again
	nakStep    time.Duration // pause after the n-th delivery was refused: n steps, at most 30; none after the first
	maxDeliver int           // refusals until the message is given up
	lost       time.Duration // how long a node may have no subscription before it counts as gone
}

const (
	maxNakSteps = 30
	hurry       = 500 * time.Millisecond // pause after a failure that is not the device's
)

// flight knows what of one queue is under way to one device: where reading goes
// on, what was sent and when it is due again, what is to be removed. It does no
// I/O and has no clock: next says what to do, the other methods what came of it.
// It is not safe for concurrent use.
//
// Sequences are those of GW_QUEUE. cursor is where the search goes on, tail the
// highest sequence known to be stored. sure says that the leader found nothing
// more at some moment since, so that tail tells all. stale has the leader asked
// instead of any replica: a replica may be late, so its "nothing" is no answer,
// and what it finds at the very start may be deleted already.
type flight struct {
	pace
	attached     bool
	window       int
	cursor, tail uint64
	last         uint64 // the last one found, whatever became of it
	sure, stale  bool
	shots        []shot           // sent and not answered, by sequence
	doomed       []uint64         // acknowledged, to be deleted
	dying        []uint64         // refused too often, to be buried
	before       map[uint64]tries // of messages sent to a connection that has gone
	notBefore    time.Time        // after a failure of NATS

	missingSince, missingLast time.Time // the node had no subscription
	gapAfter                  uint64    // the last gap
	gapAt                     time.Time
}

type tries struct{ sent, refused int }

type shot struct {
	seq, prev uint64 // prev was sent before it, in this attachment
	tries
	due time.Time
}

type doing uint8

const (
	idle   doing = iota
	remove       // delete seq from the queue
	bury         // dead letter for seq, then delete it
	resend       // seq once more, with attempt
	fetch        // find the first message from seq on; leader: only the leader's word counts
)

type action struct {
	do      doing
	seq     uint64
	prev    uint64
	attempt int
	leader  bool
	tail    uint64 // as it was when the question was asked
}

// attach begins delivery to a connection, from the oldest message.
func (f *flight) attach(window int) {
	f.detach()
	f.attached, f.window = true, max(window, 1)
	f.cursor, f.last, f.sure, f.stale = 1, 0, false, false
	f.notBefore, f.missingSince, f.missingLast = time.Time{}, time.Time{}, time.Time{}
}

// detach ends delivery; how often a message was tried is not forgotten.
func (f *flight) detach() {
	f.attached = false
	for _, s := range f.shots {
		if f.before == nil {
			f.before = map[uint64]tries{}
		}
		f.before[s.seq] = s.tries
	}
	f.shots = nil
}

// next is what to do at now. It changes nothing.
func (f *flight) next(now time.Time) action {
	if now.Before(f.notBefore) {
		return action{}
	}
	if len(f.doomed) > 0 {
		return action{do: remove, seq: f.doomed[0]}
	}
	if len(f.dying) > 0 {
		return action{do: bury, seq: f.dying[0]}
	}
	if !f.attached {
		return action{}
	}
	for _, s := range f.shots {
		if !now.Before(s.due) {
			return action{do: resend, seq: s.seq, prev: s.prev, attempt: s.sent}
		}
	}
	if len(f.shots)+len(f.dying) < f.window && !f.caughtUp() {
		return action{do: fetch, seq: f.cursor, leader: f.cursor == 1 || f.stale, tail: f.tail}
	}
	return action{}
}

func (f *flight) caughtUp() bool { return f.sure && f.cursor > f.tail }

// stored says that the queue has a message now. It tells whether that is the
// very next to be sent, so that it need not be fetched.
func (f *flight) stored(seq uint64) (isNext bool) {
	isNext = f.attached && f.caughtUp() && seq > f.tail && seq >= f.cursor && len(f.shots)+len(f.dying) < f.window
	f.tail = max(f.tail, seq)
	return isNext
}

// found says that seq is the first message from cursor on. send is false when
// the device has acknowledged or refused it for good already. prev is what was
// sent before it.
func (f *flight) found(seq uint64, now time.Time) (prev uint64, attempt int, send bool) {
	if seq < f.cursor {
		return 0, 0, false
	}
	f.cursor, f.stale = seq+1, false
	f.tail = max(f.tail, seq)
	if slices.Contains(f.doomed, seq) || slices.Contains(f.dying, seq) {
		return 0, 0, false
	}
	t := f.before[seq]
	delete(f.before, seq)
	t.sent++
	prev, f.last = f.last, seq
	f.shots = append(f.shots, shot{seq, prev, t, now.Add(f.retx)})
	return prev, t.sent, true
}

// gap says that the edge has nothing after seq: what was sent since is sent
// again, in order, before anything else; it does not count as tried. The edge
// refuses everything that was on its way behind the gap, so the same word comes
// many times: once is enough.
func (f *flight) gap(seq uint64, now time.Time) {
	if seq == f.gapAfter && now.Sub(f.gapAt) < hurry {
		return
	}
	f.gapAfter, f.gapAt, f.stale = seq, now, true
	f.shots = slices.DeleteFunc(f.shots, func(s shot) bool {
		if s.seq <= seq {
			return false
		}
		if s.sent--; s.sent > 0 || s.refused > 0 {
			if f.before == nil {
				f.before = map[uint64]tries{}
			}
			f.before[s.seq] = s.tries
		}
		f.cursor = min(f.cursor, s.seq)
		return true
	})
	f.last = min(f.last, seq)
}

// nothing says that there was no message from cursor on, when tail was as in a.
// Any replica but the leader may only be late.
func (f *flight) nothing(a action) {
	switch {
	case a.seq != f.cursor: // an answer to an older question
	case !a.leader:
		f.stale = true
	default:
		f.sure, f.stale = true, false
		if f.tail == a.tail && f.tail >= f.cursor {
			f.tail = f.cursor - 1 // what was there has gone
		}
	}
}

// resent says that seq was sent once more.
func (f *flight) resent(seq uint64, now time.Time) {
	if s := f.shot(seq); s != nil {
		s.due = now.Add(f.retx)
	}
}

// unsent says that seq could not be sent: NATS is away.
func (f *flight) unsent(seq uint64, now time.Time) {
	if s := f.shot(seq); s != nil {
		s.due = now.Add(hurry)
	}
}

// missing says that seq is not in the queue any more.
func (f *flight) missing(seq uint64) {
	f.drop(seq)
	f.removed(seq)
}

// ack says that the device has it: whenever and wherever it was sent.
func (f *flight) ack(seq uint64) bool {
	_, known := f.before[seq]
	if f.shot(seq) == nil && !known {
		return false
	}
	f.drop(seq)
	f.doomed = append(f.doomed, seq)
	return true
}

// nak says that the device refused it.
func (f *flight) nak(seq uint64, now time.Time) {
	s := f.shot(seq)
	if s == nil {
		return
	}
	s.refused++
	if s.refused >= f.maxDeliver {
		f.drop(seq)
		f.dying = append(f.dying, seq)
		return
	}
	s.due = now
	if s.sent > 1 {
		s.due = now.Add(time.Duration(min(s.sent, maxNakSteps)) * f.nakStep)
	}
	s.sent++
}

// unreachable says that the node had no subscription when seq was sent. It is
// true when that has been so for too long.
func (f *flight) unreachable(seq uint64, now time.Time) (gone bool) {
	again := min(hurry, f.retx)
	if s := f.shot(seq); s != nil {
		s.due = now.Add(again)
	}
	if now.Sub(f.missingLast) > 4*again {
		f.missingSince = now
	}
	f.missingLast = now
	return now.Sub(f.missingSince) >= f.lost
}

// removed says that seq is deleted from the queue.
func (f *flight) removed(seq uint64) {
	is := func(x uint64) bool { return x == seq }
	f.doomed, f.dying = slices.DeleteFunc(f.doomed, is), slices.DeleteFunc(f.dying, is)
	delete(f.before, seq)
}

// failed holds everything for a moment: NATS did not do what was asked.
func (f *flight) failed(now time.Time) { f.notBefore = now.Add(hurry) }

func (f *flight) shot(seq uint64) *shot {
	for i := range f.shots {
		if f.shots[i].seq == seq {
			return &f.shots[i]
		}
	}
	return nil
}

func (f *flight) drop(seq uint64) {
	f.shots = slices.DeleteFunc(f.shots, func(s shot) bool { return s.seq == seq })
	delete(f.before, seq)
}
