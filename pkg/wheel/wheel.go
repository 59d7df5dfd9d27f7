// Package wheel is a hierarchical timing wheel: one goroutine and no allocation
// for any number of timers, which lie in what they belong to. Setting and
// stopping one costs the same however many there are (Varghese and Lauck, 1987).
package wheel

import (
	"context"
	"math/bits"
	"sync"
	"time"
)

const (
	slotBits = 8
	slots    = 1 << slotBits
	levels   = 4 // with ticks of 10 ms: 2.56 s, 11 min, 46 h, 497 days; what is later goes round again
)

// Timer is embedded in what it belongs to. The zero value is not set. It must
// not be copied, and belongs to one wheel.
type Timer[T any] struct {
	next, prev *Timer[T]
	value      T
	when       uint64 // tick
}

// Wheel fires timers. It is safe for concurrent use.
type Wheel[T any] struct {
	tick  time.Duration
	fire  func(T)
	start time.Time

	mu    sync.Mutex
	now   uint64 // the last tick that was worked off
	count int
	slot  [levels][slots]Timer[T]    // heads of rings
	used  [levels][slots / 64]uint64 // which slots have something
	wake  chan struct{}              // told when a timer is set that is earlier than what Run waits for
	next  uint64                     // the tick that Run waits for; 0 = none
}

// New makes a wheel whose timers are late by at most a tick. fire is called for
// each timer that is due, in the goroutine of Run, without a lock: it may set and
// stop timers, but must not block.
func New[T any](tick time.Duration, fire func(T)) *Wheel[T] {
	w := &Wheel[T]{tick: tick, fire: fire, start: time.Now(), wake: make(chan struct{}, 1)}
	for l := range w.slot {
		for i := range w.slot[l] {
			head := &w.slot[l][i]
			head.next, head.prev = head, head
		}
	}
	return w
}

// Len is the number of timers that are set.
func (w *Wheel[T]) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

// Set has fire called with v after d, and not before; what the timer was set to
// is void. It counts from now, whether Run runs or not.
func (w *Wheel[T]) Set(t *Timer[T], v T, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.next != nil {
		w.unlink(t)
	}
	elapsed := time.Since(w.start) + max(d, 0)
	t.value, t.when = v, uint64((elapsed+w.tick-1)/w.tick)
	t.when = max(t.when, w.now+1)
	if w.count == 0 { // nothing to work off on the way here
		w.now = max(w.now, uint64(time.Since(w.start)/w.tick))
		t.when = max(t.when, w.now+1)
	}
	w.link(t)
	w.count++
	if w.next == 0 || t.when < w.next {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// Stop has fire not called any more. False says that the timer was not set:
// it has fired, or is about to.
func (w *Wheel[T]) Stop(t *Timer[T]) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.next == nil {
		return false
	}
	w.unlink(t)
	return true
}

// link puts a timer where it belongs as seen from now.
func (w *Wheel[T]) link(t *Timer[T]) {
	when := t.when
	level, ahead := 0, when-w.now
	for level < levels-1 && ahead >= 1<<(slotBits*(level+1)) {
		level++
	}
	if far := uint64(1)<<(slotBits*levels) - 1; ahead > far {
		when = w.now + far
	}
	i := when >> (slotBits * level) % slots
	head := &w.slot[level][i]
	t.prev, t.next = head.prev, head
	head.prev.next, head.prev = t, t
	w.used[level][i/64] |= 1 << (i % 64)
}

func (w *Wheel[T]) unlink(t *Timer[T]) {
	var none T
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev, t.value = nil, nil, none
	w.count--
}

// Run fires timers until ctx ends. While none is set it does not wake up.
func (w *Wheel[T]) Run(ctx context.Context) {
	clock := time.NewTimer(0)
	defer clock.Stop()
	for {
		w.advance()
		if d, any := w.sleep(); any {
			clock.Reset(d)
		} else {
			clock.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-clock.C:
		}
	}
}

// advance works off all ticks up to now, but for those that have nothing.
func (w *Wheel[T]) advance() {
	for {
		w.mu.Lock()
		to := uint64(time.Since(w.start) / w.tick)
		next, any := w.upcoming()
		if !any || next > to {
			w.now = max(w.now, to)
			w.mu.Unlock()
			return
		}
		w.now = next
		w.cascade()
		w.expire()
	}
}

// upcoming is the next tick at which something is due, or comes down a level.
func (w *Wheel[T]) upcoming() (tick uint64, any bool) {
	if w.count == 0 {
		return 0, false
	}
	for level := range levels {
		at := w.now >> (slotBits * level)
		ahead, used := w.ahead(level, at%slots)
		if !used {
			continue
		}
		if next := (at + ahead) << (slotBits * level); !any || next < tick {
			tick, any = next, true
		}
	}
	return tick, any
}

// ahead is how far the next used slot of a level is from slot i, 1 to slots.
func (w *Wheel[T]) ahead(level int, i uint64) (uint64, bool) {
	for n := uint64(1); n <= slots; {
		at := (i + n) % slots
		if rest := w.used[level][at/64] >> (at % 64); rest != 0 {
			return n + uint64(bits.TrailingZeros64(rest)), true
		}
		n += 64 - at%64
	}
	return 0, false
}

// cascade brings timers of higher levels down, when the lower one has gone round.
func (w *Wheel[T]) cascade() {
	for level := 1; level < levels && w.now>>(slotBits*(level-1))%slots == 0; level++ {
		i := w.now >> (slotBits * level) % slots
		head := &w.slot[level][i]
		t := head.next
		head.next, head.prev = head, head
		w.used[level][i/64] &^= 1 << (i % 64)
		for t != head {
			next := t.next
			w.link(t)
			t = next
		}
	}
}

// expire fires the timers of this tick. It is called with the lock and gives it
// back.
func (w *Wheel[T]) expire() {
	i := w.now % slots
	head := &w.slot[0][i]
	w.used[0][i/64] &^= 1 << (i % 64)
	var later *Timer[T]
	for head.next != head {
		t := head.next
		if t.when > w.now { // it goes round again
			t.prev.next, t.next.prev = t.next, t.prev
			t.next, later = later, t
			continue
		}
		v := t.value
		w.unlink(t)
		w.mu.Unlock()
		w.fire(v)
		w.mu.Lock()
	}
	for later != nil {
		next := later.next
		w.link(later)
		later = next
	}
	w.mu.Unlock()
}

// sleep is how long nothing is due; false while no timer is set.
func (w *Wheel[T]) sleep() (d time.Duration, any bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next, any = w.upcoming(); !any {
		w.next = 0
		return 0, false
	}
	return time.Until(w.start.Add(time.Duration(w.next) * w.tick)), true
}
