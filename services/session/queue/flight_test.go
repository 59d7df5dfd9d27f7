package queue

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func testFlight(window int) *Flight {
	f := &Flight{Pace: Pace{Retx: 10 * time.Second, NakStep: time.Second, MaxDeliver: 5, Lost: 3 * time.Second}}
	f.Attach(window, false)
	return f
}

// feed answers what a flight asks of a queue, until it asks for nothing.
func feed(f *Flight, queue []uint64) (sent []uint64) {
	for {
		switch a := f.Next(time.Now()); a.Do {
		case Fetch:
			i, _ := slices.BinarySearch(queue, a.Seq)
			if i == len(queue) {
				f.Nothing(a)
			} else if _, _, send := f.Found(queue[i], time.Now()); send {
				sent = append(sent, queue[i])
			}
		case Resend:
			f.Resent(a.Seq, time.Now())
			sent = append(sent, a.Seq)
		default:
			return sent
		}
	}
}

func want[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func wantSeqs(t testing.TB, what string, got []uint64, want ...uint64) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func TestFlightKeepsWindowAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, queue := testFlight(2), []uint64{3, 5, 9}
		wantSeqs(t, "first", feed(f, queue), 3, 5)
		want(t, "ack", f.Ack(5), true)
		want(t, "to do", f.Next(time.Now()).Do, Remove)
		f.Removed(5)
		wantSeqs(t, "one more", feed(f, queue), 9)
		f.Ack(3)
		f.Removed(3)
		wantSeqs(t, "no more", feed(f, queue))
		want(t, "caught up", f.caughtUp(), true)
		want(t, "next is told", f.Stored(12), true)
		want(t, "the one after is not", f.Stored(13), false)
		wantSeqs(t, "new", feed(f, []uint64{9, 12, 13}), 12)
	})
}

func TestFlightResendsUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := testFlight(2)
		feed(f, []uint64{1})
		time.Sleep(9 * time.Second)
		want(t, "early", f.Next(time.Now()).Do, Idle)
		time.Sleep(time.Second)
		a := f.Next(time.Now())
		want(t, "late", a.Do, Resend)
		want(t, "attempt", a.Attempt, 1)
		wantSeqs(t, "again", feed(f, nil), 1)
		time.Sleep(time.Hour) // as long as the device likes
		wantSeqs(t, "for ever", feed(f, nil), 1)
	})
}

func TestFlightNakPausesThenBuries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := testFlight(1)
		feed(f, []uint64{1})
		for i, pause := range []time.Duration{0, 2 * time.Second, 3 * time.Second, 4 * time.Second} {
			f.Nak(1, time.Now())
			if pause > 0 {
				time.Sleep(pause - time.Millisecond)
				want(t, "in the pause", f.Next(time.Now()).Do, Idle)
				time.Sleep(time.Millisecond)
			}
			a := f.Next(time.Now())
			want(t, "after it", a.Do, Resend)
			want(t, "attempt", a.Attempt, i+2)
			f.Resent(1, time.Now())
		}
		f.Nak(1, time.Now())
		want(t, "given up", f.Next(time.Now()).Do, Bury)
		want(t, "ack is late", f.Ack(1), false)
		f.Removed(1)
		want(t, "done", len(f.dying)+len(f.shots)+len(f.doomed), 0)
	})
}

func TestFlightReconnectRestartsAtOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, queue := testFlight(3), []uint64{1, 2, 3, 4}
		feed(f, queue)
		f.Ack(2) // and not yet deleted
		f.Detach()
		want(t, "late ack counts", f.Ack(1), true)
		f.Attach(2, false)
		for f.Next(time.Now()).Do == Remove {
			seq := f.Next(time.Now()).Seq
			f.Removed(seq)
			queue = slices.DeleteFunc(queue, func(x uint64) bool { return x == seq })
		}
		wantSeqs(t, "from the oldest", feed(f, queue), 3, 4)
		want(t, "attempt of 3", f.shot(3).sent, 2)
		want(t, "attempt of 4", f.shot(4).sent, 1)
	})
}

func TestFlightDeletesBeforeItReads(t *testing.T) {
	f := testFlight(2)
	feed(f, []uint64{1, 2})
	f.Ack(1)
	f.Attach(2, false)
	if _, _, send := f.Found(1, time.Now()); send {
		t.Fatal("an acknowledged message was sent again")
	}
}

func TestFlightUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := testFlight(1)
		feed(f, []uint64{1})
		want(t, "first", f.Unreachable(1, time.Now()), false)
		time.Sleep(time.Hour)
		want(t, "long after", f.Unreachable(1, time.Now()), false)
		gone := false
		for range 6 {
			time.Sleep(hurry)
			want(t, "tried again", f.Next(time.Now()).Do, Resend)
			gone = f.Unreachable(1, time.Now())
		}
		want(t, "gone", gone, true)
	})
}

// TestFlightLateReplica: what a replica does not have is no news, and what is
// stored while the leader is being asked is not forgotten.
func TestFlightLateReplica(t *testing.T) {
	f, now := testFlight(4), time.Now()
	a := f.Next(now)
	want(t, "first asks the leader", a.Leader, true)
	f.Stored(7)
	f.Nothing(a)
	a = f.Next(now)
	want(t, "asks again", a.Do, Fetch)
	want(t, "any replica", a.Leader, true) // the cursor is still at the start
	f.Found(7, now)
	f.Stored(9)
	a = f.Next(now)
	want(t, "any replica", a.Leader, false)
	f.Nothing(a)
	a = f.Next(now)
	want(t, "then the leader", a.Leader, true)
	f.Nothing(a)
	want(t, "then it is gone", f.Next(now).Do, Idle)
	f.Ack(7)
	f.Removed(7)
	want(t, "next", f.Stored(10), true)
}

// TestFlightRandom: whatever happens, every message is sent first in order and
// removed in the end.
func TestFlightRandom(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := testFlight(1 + int(seed%5))
		now := time.Now()
		var queue, first []uint64
		var last uint64
		stored := 0
		for step := 0; step < 100_000 && (stored < 200 || len(queue) > 0); step++ {
			now = now.Add(time.Duration(r.IntN(1000)) * time.Millisecond)
			if stored < 200 && r.IntN(5) == 0 {
				last += 1 + r.Uint64N(3)
				queue = append(queue, last)
				f.Stored(last)
				stored++
			}
			switch r.IntN(40) {
			case 0:
				f.Detach()
				f.Attach(1+r.IntN(5), false)
			case 1:
				f.Failed(now)
			}
			switch a := f.Next(now); a.Do { //nolint:exhaustive // the rest does not come without MaxTries and tell
			case Fetch:
				i, _ := slices.BinarySearch(queue, a.Seq)
				if i == len(queue) || !a.Leader && r.IntN(3) == 0 {
					f.Nothing(a)
				} else if _, n, send := f.Found(queue[i], now); send && n == 1 {
					first = append(first, queue[i])
				}
			case Resend:
				f.Resent(a.Seq, now)
			case Remove, Bury:
				queue = slices.DeleteFunc(queue, func(x uint64) bool { return x == a.Seq })
				f.Removed(a.Seq)
			case Idle:
			}
			if n := len(f.shots); n > 0 {
				switch seq := f.shots[r.IntN(n)].seq; r.IntN(6) {
				case 0, 1:
					f.Ack(seq)
				case 2:
					f.Nak(seq, now)
				case 3:
					f.Unreachable(seq, now)
				}
			}
		}
		want(t, "left in the queue", len(queue), 0)
		want(t, "sent", len(first), 200)
		want(t, "in order", slices.IsSorted(first), true)
	}
}

// TestFlightGap: the edge says what it has; the rest comes again, in order, and
// does not count as tried.
func TestFlightGap(t *testing.T) {
	f := testFlight(8)
	now := time.Now()
	for seq := range uint64(5) {
		f.Stored(seq + 1)
		f.Found(seq+1, now)
	}
	f.Ack(1)
	f.Gap(2, now)
	f.Gap(2, now) // told for each message behind the gap
	want(t, "still under way", len(f.shots), 1)
	for _, seq := range []uint64{3, 4, 5} {
		f.Removed(1)
		a := f.Next(now)
		want(t, "from", a.Seq, seq)
		want(t, "asked of the leader", a.Leader, seq == 3)
		prev, attempt, send := f.Found(seq, now)
		want(t, "sent", send, true)
		want(t, "attempt", attempt, 1)
		want(t, "behind", prev, seq-1)
	}
}
