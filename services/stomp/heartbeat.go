package stomp

import (
	"time"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
)

// grace is how many intervals of silence are allowed: one is forgiven.
const grace = 2

// clock has a connection's one timer and what it is for. It is armed lazily:
// a deadline that moves away costs nothing until the old one has come.
type clock struct {
	timer   *time.Timer
	armed   time.Time // when the timer fires; zero: it does not
	login   time.Time // by when CONNECT must be complete; zero once it is
	leave   time.Time // by when DISCONNECT must be answered
	every   time.Duration
	expect  time.Duration
	heard   time.Time // when frames were taken last, or could be again
	reading bool
}

func newClock(idle time.Duration) clock {
	login := time.Now().Add(idle)
	return clock{timer: time.NewTimer(idle), armed: login, login: login, reading: true}
}

// start sets the heart-beats: expect from the device, every to it.
func (k *clock) start(expect, every time.Duration) {
	k.expect, k.every, k.heard = expect, every, time.Now()
}

// reads notes whether frames are read. The time in which they were not does not
// count as silence of the device.
func (k *clock) reads(now bool) bool {
	if now && !k.reading {
		k.heard = time.Now()
	}
	k.reading = now
	return now
}

func (k *clock) arm(at time.Time) {
	if !at.IsZero() && (k.armed.IsZero() || at.Before(k.armed)) {
		k.timer.Reset(time.Until(at))
		k.armed = at
	}
}

// silentAt is when the device will have been silent for too long
// (STOMP 1.2 "Heart-beating").
func (c *conn) silentAt() time.Time {
	if c.clock.expect == 0 || !c.clock.reading {
		return time.Time{}
	}
	last := c.in.lastSeen()
	if last.Before(c.clock.heard) {
		last = c.clock.heard
	}
	return last.Add(grace * c.clock.expect)
}

// beatAt is when the device must hear something.
func (c *conn) beatAt() time.Time {
	if c.clock.every == 0 {
		return time.Time{}
	}
	return c.out.last.Add(c.clock.every)
}

func (c *conn) nextDeadline() (next time.Time) {
	for _, at := range [...]time.Time{c.clock.login, c.clock.leave, c.silentAt(), c.beatAt(), c.oldest()} {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

func (c *conn) onTimer() error {
	c.clock.armed = time.Time{}
	now := time.Now()
	due := func(at time.Time) bool { return !at.IsZero() && !at.After(now) }
	switch {
	case due(c.clock.login):
		return &refusal{kind: api.Invalid, text: "no CONNECT in time", cause: gateway.ErrIdle}
	case due(c.clock.leave):
		return &refusal{kind: api.Unavailable, text: "not everything could be stored in time", receipt: c.sends.goodbye, cause: errUnstored}
	case due(c.silentAt()) && len(c.in.frames) == 0:
		return gateway.ErrKeepalive
	case due(c.oldest()):
		return c.expired(now)
	}
	if due(c.beatAt()) {
		c.out.beat()
	}
	return nil
}
