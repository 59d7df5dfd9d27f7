package session

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestIndexMatchesOnceAndFromSeq(t *testing.T) {
	var x index
	a, b := &sub{id: "a"}, &sub{id: "b"}
	want(t, "from", x.add(a, []string{"iot.>", "iot.x", "iot.*"}, 5), 5)
	want(t, "too early", len(x.match(4, "iot.x")), 0)
	want(t, "once", len(x.match(5, "iot.x")), 1)
	x.match(9, "iot.y")
	want(t, "not before what was matched", x.add(b, []string{"iot.x"}, 6), 10)
	want(t, "both", len(x.match(10, "iot.x")), 2)
	x.remove(a)
	want(t, "one", len(x.match(11, "iot.x")), 1)
	x.remove(b)
	want(t, "size", x.size(), 0)
	x.restore(b, []string{"iot.x"}, 3)
	want(t, "as its record says", b.from, 3)
}

// sink is where lanes send to.
type sink struct {
	sent []parcel
	ids  []uint64
	err  error
}

func (s *sink) send(p parcel, id uint64) error {
	s.sent, s.ids = append(s.sent, p), append(s.ids, id)
	return s.err
}

func put(l *lanes, seq uint64, acked *[]uint64, to ...*sub) {
	h := &held{seq: seq, data: []byte("x"), ack: func() error { *acked = append(*acked, seq); return nil }}
	l.put(h, func() []*sub { return to }, time.Now())
}

func TestLanesOneAtATimePerQueue(t *testing.T) {
	out := &sink{}
	l := newLanes(out.send)
	a, b := &sub{queue: "a"}, &sub{queue: "b"}
	var acked []uint64
	put(l, 1, &acked, a, b)
	put(l, 2, &acked, a)
	put(l, 3, &acked)
	l.acknowledge()
	wantSeqs(t, "nothing is acknowledged above the floor", acked)
	want(t, "sent", len(out.sent), 2)
	now := time.Now()
	if _, ok := l.answered(1, retry, now); ok {
		t.Fatal("settled by a failure")
	}
	want(t, "nothing overtakes", len(out.sent), 2)
	want(t, "again", l.sweep(now.Add(hurry)), 1)
	want(t, "the same", out.ids[2], 1)
	l.answered(1, kept, now)
	l.acknowledge()
	wantSeqs(t, "waits for b", acked)
	want(t, "next of a", out.sent[3].h.seq, 2)
	l.answered(2, full, now)
	l.acknowledge()
	wantSeqs(t, "both settled", acked, 1)
	if _, ok := l.answered(1, kept, now); ok {
		t.Fatal("settled twice")
	}
	clear := l.drained("a")
	l.answered(out.ids[3], kept, now)
	<-clear
	want(t, "empty", l.parcels+l.bytes+len(l.open)+len(l.held)+len(l.byID), 0)
	l.acknowledge()
	wantSeqs(t, "all, at once", acked, 1, 3)
}

func TestLanesSendErrorIsTriedAgain(t *testing.T) {
	out := &sink{err: errors.New("away")}
	l := newLanes(out.send)
	var acked []uint64
	put(l, 1, &acked, &sub{queue: "a"})
	want(t, "early", l.sweep(time.Now()), 0)
	out.err = nil
	want(t, "again", l.sweep(time.Now().Add(hurry)), 1)
	l.again(1, func() error { acked = append(acked, 100); return nil })
	l.answered(1, kept, time.Now())
	l.acknowledge()
	wantSeqs(t, "the newer acknowledgement", acked, 100)
}

func TestLanesBound(t *testing.T) {
	l := newLanes((&sink{}).send)
	var acked []uint64
	many := make([]*sub, maxParcels)
	for i := range many {
		many[i] = &sub{queue: string(rune('a' + i))}
	}
	put(l, 1, &acked, many...)
	want(t, "full", l.full(), true)
	l.answered(7, kept, time.Now())
	<-l.room
	want(t, "room", l.full(), false)
}

func TestPoolOneWorkerAtATime(t *testing.T) {
	p, s := newPool(), &sub{}
	p.wake(s)
	p.wake(s)
	want(t, "taken", p.take(), s)
	p.wake(s) // while working
	want(t, "not twice", len(p.list), 0)
	p.done(s, false)
	want(t, "again", p.take(), s)
	p.done(s, false)
	want(t, "rests", slices.Contains(p.list, s), false)
	p.close()
	want(t, "closed", p.take(), (*sub)(nil))
}
