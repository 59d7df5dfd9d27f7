package session

import (
	"slices"
	"testing"
)

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

func want[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}
