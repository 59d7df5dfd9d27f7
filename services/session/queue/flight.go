package queue

import (
	"slices"
	"time"
)

// Pace is how often things are tried again.
type Pace struct {
	Retx       time.Duration // without an answer the message is sent again
	Counts     bool          // and that is another attempt: the device sees it
	MaxTries   int           // attempts without an answer until the message is given up; 0 = for ever
	NakStep    time.Duration // pause after the n-th delivery was refused: n steps, at most 30; none after the first
	MaxDeliver int           // refusals until the message is given up
	Lost       time.Duration // how long a node may have no subscription before it counts as gone
}

const (
	maxNakSteps = 30
	hurry       = 500 * time.Millisecond // pause after a failure that is not the device's
)

// Flight knows what of one queue is under way to one device: where reading goes
// on, what was sent and when it is due again, what is to be removed. It does no
// I/O and has no clock: Next says what to do, the other methods what came of it.
// It is not safe for concurrent use.
//
// Sequences are those of GW_QUEUE. cursor is where the search goes on, tail the
// highest sequence known to be stored. sure says that the leader found nothing
// more at some moment since, so that tail tells all. stale has the leader asked
// instead of any replica: a replica may be late, so its "nothing" is no answer,
// and what it finds at the very start may be deleted already.
type Flight struct {
	Pace
	attached     bool
	window       int
	cursor, tail uint64
	last         uint64 // the last one found, whatever became of it
	sure, stale  bool
	shots        []shot           // sent and not answered, by sequence
	doomed       []uint64         // acknowledged, to be deleted
	dying        []dying          // given up, to be buried
	before       map[uint64]tries // of messages sent to a connection that has gone
	notBefore    time.Time        // after a failure of NATS
	tell         bool             // say when nothing is left
	suspects     int              // so many of the next may have been sent by an owner before us

	missingSince, missingLast time.Time // the node had no subscription
	gapAfter                  uint64    // the last gap
	gapAt                     time.Time
}

type tries struct{ sent, refused int }

type dying struct {
	seq    uint64
	reason string
}

// Why a message is given up: the reason of its dead letter.
const (
	Nack  = "nack"   // the device refused it MaxDeliver times
	NoAck = "no_ack" // the device did not answer MaxTries times
)

type shot struct {
	seq, prev uint64 // prev was sent before it, in this attachment
	tries
	due time.Time
}

// Doing is what is to be done.
type Doing uint8

// What there can be.
const (
	Idle   Doing = iota // nothing
	Remove              // delete Seq from the queue
	Bury                // dead letter for Seq, then delete it
	Resend              // Seq once more, with Attempt
	GiveUp              // Seq has been sent often enough
	Tell                // the queue is empty, for the first time since Attach
	Fetch               // find the first message from Seq on; Leader: only the leader's word counts
)

// Action is the next thing to do.
type Action struct {
	Do      Doing
	Seq     uint64
	Prev    uint64
	Attempt int
	Leader  bool
	Reason  string // Bury: why
	Tail    uint64 // as it was when the question was asked
}

// Attach begins delivery to a connection, from the oldest message. With tell an
// action says when nothing is left.
func (f *Flight) Attach(window int, tell bool) {
	f.Detach()
	f.attached, f.window, f.tell = true, max(window, 1), tell
	f.cursor, f.last, f.sure, f.stale = 1, 0, false, false
	f.notBefore, f.missingSince, f.missingLast = time.Time{}, time.Time{}, time.Time{}
}

// Detach ends delivery; how often a message was tried is not forgotten.
func (f *Flight) Detach() {
	f.attached = false
	for _, s := range f.shots {
		if f.before == nil {
			f.before = map[uint64]tries{}
		}
		f.before[s.seq] = s.tries
	}
	f.shots = nil
}

// Next is what to do at now. It changes nothing.
func (f *Flight) Next(now time.Time) Action {
	if now.Before(f.notBefore) {
		return Action{}
	}
	if len(f.doomed) > 0 {
		return Action{Do: Remove, Seq: f.doomed[0]}
	}
	if len(f.dying) > 0 {
		return Action{Do: Bury, Seq: f.dying[0].seq, Reason: f.dying[0].reason}
	}
	if !f.attached {
		return Action{}
	}
	for _, s := range f.shots {
		switch {
		case now.Before(s.due):
		case f.MaxTries > 0 && s.sent-s.refused >= f.MaxTries:
			return Action{Do: GiveUp, Seq: s.seq}
		default:
			return Action{Do: Resend, Seq: s.seq, Prev: s.prev, Attempt: s.sent + f.count()}
		}
	}
	if len(f.shots)+len(f.dying) < f.window && !f.caughtUp() {
		return Action{Do: Fetch, Seq: f.cursor, Leader: f.cursor == 1 || f.stale, Tail: f.tail}
	}
	if f.tell && len(f.shots) == 0 && f.caughtUp() {
		return Action{Do: Tell}
	}
	return Action{}
}

// count is 1 where sending again is another attempt.
func (f *Flight) count() int {
	if f.Counts {
		return 1
	}
	return 0
}

// Due is how long Next has nothing to do, unless it is told something: negative
// when for ever.
func (f *Flight) Due(now time.Time) time.Duration {
	at := f.notBefore
	if !now.Before(at) {
		at = time.Time{}
		for _, s := range f.shots {
			if f.attached && (at.IsZero() || s.due.Before(at)) {
				at = s.due
			}
		}
	}
	if at.IsZero() {
		return -1
	}
	return max(at.Sub(now), 0)
}

// Blank tells whether nothing is known that a new Flight would not know.
func (f *Flight) Blank() bool {
	return !f.attached && len(f.doomed)+len(f.dying)+len(f.before) == 0
}

// Quiet tells whether nothing is to be deleted and, unless unanswered ones do
// not count, no answer is awaited.
func (f *Flight) Quiet(unanswered bool) bool {
	return len(f.doomed)+len(f.dying) == 0 && (unanswered || len(f.shots) == 0)
}

// Attached tells whether there is a connection to deliver to.
func (f *Flight) Attached() bool { return f.attached }

// Cursor is where the search goes on.
func (f *Flight) Cursor() uint64 { return f.cursor }

// Suspect says that an owner before us may have sent the first n messages: they
// are marked as sent again.
func (f *Flight) Suspect(n int) { f.suspects += n }

// Told says that the connection knows that nothing is left.
func (f *Flight) Told() { f.tell = false }

// GivenUp says that seq is not sent again.
func (f *Flight) GivenUp(seq uint64) {
	f.drop(seq)
	f.dying = append(f.dying, dying{seq, NoAck})
}

func (f *Flight) caughtUp() bool { return f.sure && f.cursor > f.tail }

// Stored says that the queue has a message now. It tells whether that is the
// very next to be sent, so that it need not be fetched.
func (f *Flight) Stored(seq uint64) (isNext bool) {
	isNext = f.attached && f.caughtUp() && seq > f.tail && seq >= f.cursor && len(f.shots)+len(f.dying) < f.window
	f.tail = max(f.tail, seq)
	return isNext
}

// Found says that seq is the first message from cursor on. send is false when
// the device has acknowledged or refused it for good already. prev is what was
// sent before it.
func (f *Flight) Found(seq uint64, now time.Time) (prev uint64, attempt int, send bool) {
	if seq < f.cursor {
		return 0, 0, false
	}
	f.cursor, f.stale = seq+1, false
	f.tail = max(f.tail, seq)
	if slices.Contains(f.doomed, seq) || slices.ContainsFunc(f.dying, func(d dying) bool { return d.seq == seq }) {
		return 0, 0, false
	}
	t := f.before[seq]
	delete(f.before, seq)
	if f.suspects > 0 {
		f.suspects--
		t.sent = max(t.sent, 1)
	}
	t.sent++
	prev, f.last = f.last, seq
	f.shots = append(f.shots, shot{seq, prev, t, now.Add(f.Retx)})
	return prev, t.sent, true
}

// Gap says that the edge has nothing after seq: what was sent since is sent
// again, in order, before anything else; it does not count as tried. The edge
// refuses everything that was on its way behind the gap, so the same word comes
// many times: once is enough.
func (f *Flight) Gap(seq uint64, now time.Time) {
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

// Nothing says that there was no message from cursor on, when tail was as in a.
// Any replica but the leader may only be late.
func (f *Flight) Nothing(a Action) {
	switch {
	case a.Seq != f.cursor: // an answer to an older question
	case !a.Leader:
		f.stale = true
	default:
		f.sure, f.stale = true, false
		if f.tail == a.Tail && f.tail >= f.cursor {
			f.tail = f.cursor - 1 // what was there has gone
		}
	}
}

// Resent says that seq was sent once more.
func (f *Flight) Resent(seq uint64, now time.Time) {
	if s := f.shot(seq); s != nil {
		s.due = now.Add(f.Retx)
		s.sent += f.count()
	}
}

// Unsent says that seq could not be sent: NATS is away.
func (f *Flight) Unsent(seq uint64, now time.Time) {
	if s := f.shot(seq); s != nil {
		s.due = now.Add(hurry)
	}
}

// Missing says that seq is not in the queue any more.
func (f *Flight) Missing(seq uint64) {
	f.drop(seq)
	f.Removed(seq)
}

// Ack says that the device has it: whenever and wherever it was sent.
func (f *Flight) Ack(seq uint64) bool {
	_, known := f.before[seq]
	if f.shot(seq) == nil && !known {
		return false
	}
	f.drop(seq)
	f.doomed = append(f.doomed, seq)
	return true
}

// Nak says that the device refused it.
func (f *Flight) Nak(seq uint64, now time.Time) {
	s := f.shot(seq)
	if s == nil {
		return
	}
	s.refused++
	if s.refused >= f.MaxDeliver {
		f.drop(seq)
		f.dying = append(f.dying, dying{seq, Nack})
		return
	}
	s.due = now
	if s.sent > 1 {
		s.due = now.Add(time.Duration(min(s.sent, maxNakSteps)) * f.NakStep)
	}
	s.sent += 1 - f.count() // otherwise sending it again counts
}

// Unreachable says that the node had no subscription when seq was sent. It is
// true when that has been so for too long.
func (f *Flight) Unreachable(seq uint64, now time.Time) (gone bool) {
	again := min(hurry, f.Retx)
	if s := f.shot(seq); s != nil {
		s.due = now.Add(again)
		s.sent = max(s.sent-f.count(), 1) // that was none
	}
	if now.Sub(f.missingLast) > 4*again {
		f.missingSince = now
	}
	f.missingLast = now
	return now.Sub(f.missingSince) >= f.Lost
}

// Removed says that seq is deleted from the queue.
func (f *Flight) Removed(seq uint64) {
	is := func(x uint64) bool { return x == seq }
	f.doomed = slices.DeleteFunc(f.doomed, is)
	f.dying = slices.DeleteFunc(f.dying, func(d dying) bool { return is(d.seq) })
	delete(f.before, seq)
}

// Failed holds everything for a moment: NATS did not do what was asked.
func (f *Flight) Failed(now time.Time) { f.notBefore = now.Add(hurry) }

func (f *Flight) shot(seq uint64) *shot {
	for i := range f.shots {
		if f.shots[i].seq == seq {
			return &f.shots[i]
		}
	}
	return nil
}

func (f *Flight) drop(seq uint64) {
	f.shots = slices.DeleteFunc(f.shots, func(s shot) bool { return s.seq == seq })
	delete(f.before, seq)
}
