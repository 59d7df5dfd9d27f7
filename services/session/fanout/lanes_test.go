package fanout

import (
	"errors"
	"testing"
	"time"
)

func TestIndexMatchesOnceAndFromSeq(t *testing.T) {
	x := NewIndex()
	a, b := &Queue{}, &Queue{}
	want(t, "from", x.Add(a, []string{"iot.>", "iot.x", "iot.*"}, 5), 5)
	want(t, "too early", len(x.Match(4, "iot.x")), 0)
	want(t, "once", len(x.Match(5, "iot.x")), 1)
	x.Match(9, "iot.y")
	want(t, "not before what was matched", x.Add(b, []string{"iot.x"}, 6), 10)
	want(t, "both", len(x.Match(10, "iot.x")), 2)
	x.Remove(a)
	want(t, "one", len(x.Match(11, "iot.x")), 1)
	x.Remove(b)
	want(t, "size", x.Size(), 0)
	x.Restore(b, []string{"iot.x"}, 3)
	want(t, "not before reading begins for it", len(x.Match(12, "iot.x")), 0)
	want(t, "as its record says", b.From(), 3)
}

// sink is where lanes send to.
type sink struct {
	sent []Parcel
	ids  []uint64
	err  error
}

func (s *sink) send(p Parcel, id uint64) error {
	s.sent, s.ids = append(s.sent, p), append(s.ids, id)
	return s.err
}

func put(l *Lanes, seq uint64, to ...*Queue) {
	h := &Message{Seq: seq, Data: []byte("x")}
	l.Put(h, func() []*Queue { return to }, time.Now())
}

func TestLanesOneAtATimePerQueue(t *testing.T) {
	out := &sink{}
	l := NewLanes(out.send)
	a, b := &Queue{Name: "a"}, &Queue{Name: "b"}
	put(l, 1, a, b)
	put(l, 2, a)
	put(l, 3)
	want(t, "nothing is settled", l.Floor(), 0)
	want(t, "sent", len(out.sent), 2)
	now := time.Now()
	if _, ok := l.Answered(1, Retry, now); ok {
		t.Fatal("settled by a failure")
	}
	want(t, "nothing overtakes", len(out.sent), 2)
	want(t, "again", l.Sweep(now.Add(hurry)), 1)
	want(t, "the same", out.ids[2], 1)
	l.Answered(1, Kept, now)
	want(t, "waits for b", l.Floor(), 0)
	want(t, "next of a", out.sent[3].Message.Seq, 2)
	l.Answered(2, Full, now)
	want(t, "both settled", l.Floor(), 1)
	if _, ok := l.Answered(1, Kept, now); ok {
		t.Fatal("settled twice")
	}
	clear := l.Drained(a)
	l.Answered(out.ids[3], Kept, now)
	<-clear
	want(t, "empty", l.parcels+l.bytes+len(l.open)+len(l.byID), 0)
	want(t, "all", l.Floor(), 3)
	want(t, "settled", l.Settled(), true)
}

func TestLanesSendErrorIsTriedAgain(t *testing.T) {
	out := &sink{err: errors.New("away")}
	l := NewLanes(out.send)
	put(l, 1, &Queue{Name: "a"})
	want(t, "early", l.Sweep(time.Now()), 0)
	out.err = nil
	want(t, "again", l.Sweep(time.Now().Add(hurry)), 1)
	l.Answered(1, Kept, time.Now())
	want(t, "floor", l.Floor(), 1)
}

func TestLanesBound(t *testing.T) {
	l := NewLanes((&sink{}).send)
	many := make([]*Queue, maxParcels)
	for i := range many {
		many[i] = &Queue{Name: string(rune('a' + i))}
	}
	put(l, 1, many...)
	want(t, "full", l.Full(), true)
	l.Answered(7, Kept, time.Now())
	<-l.Room()
	want(t, "room", l.Full(), false)
}

// TestDropSettles: what waits for a queue of another owner holds nothing up.
func TestDropSettles(t *testing.T) {
	out := &sink{}
	l := NewLanes(out.send)
	a, b := &Queue{Name: "a"}, &Queue{Name: "b"}
	put(l, 1, a, b)
	put(l, 2, a)
	clear := l.Drained(a)
	l.Drop(a)
	<-clear
	want(t, "waits for b", l.Floor(), 0)
	l.Answered(out.ids[1], Kept, time.Now())
	want(t, "all", l.Floor(), 2)
	if _, ok := l.Answered(out.ids[0], Kept, time.Now()); ok {
		t.Fatal("a dropped parcel was settled again")
	}
}

// TestRewindMatchesForThoseThatCame: what was matched once is not again, but for
// queues that were restored since.
func TestRewindMatchesForThoseThatCame(t *testing.T) {
	x := NewIndex()
	old, came, late := &Queue{Name: "old"}, &Queue{Name: "came"}, &Queue{Name: "late"}
	x.Restore(old, []string{"iot.>"}, 1)
	x.Begin(0)
	want(t, "first", len(x.Match(10, "iot.x")), 1)
	x.Restore(came, []string{"iot.x"}, 2)
	x.Begin(4)
	for seq := uint64(5); seq <= 7; seq++ {
		got := x.Match(seq, "iot.x")
		want(t, "only the one that came", len(got) == 1 && got[0] == came, true)
	}
	x.Restore(late, []string{"iot.*"}, 6) // while it is being caught up
	x.Begin(5)
	want(t, "both", len(x.Match(6, "iot.x")), 2)
	want(t, "all from there on", len(x.Match(11, "iot.x")), 3)
}

func want[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}
