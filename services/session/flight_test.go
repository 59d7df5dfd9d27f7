package session

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func testFlight(window int) *flight {
	f := &flight{pace: pace{retx: 10 * time.Second, nakStep: time.Second, maxDeliver: 5, lost: 3 * time.Second}}
	f.attach(window)
	return f
}

// feed answers what a flight asks of a queue, until it asks for nothing.
func feed(f *flight, queue []uint64) (sent []uint64) {
	for {
		switch a := f.next(time.Now()); a.do {
		case fetch:
			i, _ := slices.BinarySearch(queue, a.seq)
			if i == len(queue) {
				f.nothing(a)
			} else if _, _, send := f.found(queue[i], time.Now()); send {
				sent = append(sent, queue[i])
			}
		case resend:
			f.resent(a.seq, time.Now())
			sent = append(sent, a.seq)
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
		want(t, "ack", f.ack(5), true)
		want(t, "to do", f.next(time.Now()).do, remove)
		f.removed(5)
		wantSeqs(t, "one more", feed(f, queue), 9)
		f.ack(3)
		f.removed(3)
		wantSeqs(t, "no more", feed(f, queue))
		want(t, "caught up", f.caughtUp(), true)
		want(t, "next is told", f.stored(12), true)
		want(t, "the one after is not", f.stored(13), false)
		wantSeqs(t, "new", feed(f, []uint64{9, 12, 13}), 12)
	})
}

func TestFlightResendsUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := testFlight(2)
		feed(f, []uint64{1})
		time.Sleep(9 * time.Second)
		want(t, "early", f.next(time.Now()).do, idle)
		time.Sleep(time.Second)
		a := f.next(time.Now())
		want(t, "late", a.do, resend)
		want(t, "attempt", a.attempt, 1)
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
			f.nak(1, time.Now())
			if pause > 0 {
				time.Sleep(pause - time.Millisecond)
				want(t, "in the pause", f.next(time.Now()).do, idle)
				time.Sleep(time.Millisecond)
			}
			a := f.next(time.Now())
			want(t, "after it", a.do, resend)
			want(t, "attempt", a.attempt, i+2)
			f.resent(1, time.Now())
		}
		f.nak(1, time.Now())
		want(t, "given up", f.next(time.Now()).do, bury)
		want(t, "ack is late", f.ack(1), false)
		f.removed(1)
		want(t, "done", len(f.dying)+len(f.shots)+len(f.doomed), 0)
	})
}

func TestFlightReconnectRestartsAtOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, queue := testFlight(3), []uint64{1, 2, 3, 4}
		feed(f, queue)
		f.ack(2) // and not yet deleted
		f.detach()
		want(t, "late ack counts", f.ack(1), true)
		f.attach(2)
		for f.next(time.Now()).do == remove {
			seq := f.next(time.Now()).seq
			f.removed(seq)
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
	f.ack(1)
	f.attach(2)
	if _, _, send := f.found(1, time.Now()); send {
		t.Fatal("an acknowledged message was sent again")
	}
}

func TestFlightUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := testFlight(1)
		feed(f, []uint64{1})
		want(t, "first", f.unreachable(1, time.Now()), false)
		time.Sleep(time.Hour)
		want(t, "long after", f.unreachable(1, time.Now()), false)
		gone := false
		for range 6 {
			time.Sleep(hurry)
			want(t, "tried again", f.next(time.Now()).do, resend)
			gone = f.unreachable(1, time.Now())
		}
		want(t, "gone", gone, true)
	})
}

// TestFlightLateReplica: what a replica does not have is no news, and what is
// stored while the leader is being asked is not forgotten.
func TestFlightLateReplica(t *testing.T) {
	f, now := testFlight(4), time.Now()
	a := f.next(now)
	want(t, "first asks the leader", a.leader, true)
	f.stored(7)
	f.nothing(a)
	a = f.next(now)
	want(t, "asks again", a.do, fetch)
	want(t, "any replica", a.leader, true) // the cursor is still at the start
	f.found(7, now)
	f.stored(9)
	a = f.next(now)
	want(t, "any replica", a.leader, false)
	f.nothing(a)
	a = f.next(now)
	want(t, "then the leader", a.leader, true)
	f.nothing(a)
	want(t, "then it is gone", f.next(now).do, idle)
	f.ack(7)
	f.removed(7)
	want(t, "next", f.stored(10), true)
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
				f.stored(last)
				stored++
			}
			switch r.IntN(40) {
			case 0:
				f.detach()
				f.attach(1 + r.IntN(5))
			case 1:
				f.failed(now)
			}
			switch a := f.next(now); a.do {
			case fetch:
				i, _ := slices.BinarySearch(queue, a.seq)
				if i == len(queue) || !a.leader && r.IntN(3) == 0 {
					f.nothing(a)
				} else if _, n, send := f.found(queue[i], now); send && n == 1 {
					first = append(first, queue[i])
				}
			case resend:
				f.resent(a.seq, now)
			case remove, bury:
				queue = slices.DeleteFunc(queue, func(x uint64) bool { return x == a.seq })
				f.removed(a.seq)
			case idle:
			}
			if n := len(f.shots); n > 0 {
				switch seq := f.shots[r.IntN(n)].seq; r.IntN(6) {
				case 0, 1:
					f.ack(seq)
				case 2:
					f.nak(seq, now)
				case 3:
					f.unreachable(seq, now)
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
		f.stored(seq + 1)
		f.found(seq+1, now)
	}
	f.ack(1)
	f.gap(2, now)
	f.gap(2, now) // told for each message behind the gap
	want(t, "still under way", len(f.shots), 1)
	for _, seq := range []uint64{3, 4, 5} {
		f.removed(1)
		a := f.next(now)
		want(t, "from", a.seq, seq)
		want(t, "asked of the leader", a.leader, seq == 3)
		prev, attempt, send := f.found(seq, now)
		want(t, "sent", send, true)
		want(t, "attempt", attempt, 1)
		want(t, "behind", prev, seq-1)
	}
}
