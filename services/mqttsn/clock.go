package mqttsn

import (
	"time"

	"sluice/pkg/gateway"
)

// grace is how many keep-alive intervals of silence are one too many, as in
// MQTT; MQTT-SN 1.2 §7.2 recommends 1.1 to 1.5.
const grace = 1.5

// keepalive is the announced one; 0 = none.
func (c *conn) keepalive() time.Duration { return time.Duration(c.lifetime) * time.Second }

// deadline is when something is due next; 0 = nothing is.
func (c *conn) deadline() (first time.Duration) {
	earlier := func(d time.Duration) {
		if d > 0 && (first == 0 || d < first) {
			first = d
		}
	}
	switch c.state {
	case asking:
		earlier(c.login.until)
		earlier(c.login.again)
	case active:
		earlier(c.dozing)
		if c.lifetime > 0 {
			earlier(c.heard + time.Duration(grace*float64(c.keepalive())))
		}
	case awake:
		if !c.wake.over {
			earlier(c.wake.until)
		}
	case joining, napping, gone: // their calls have limits
	}
	if c.out != nil && c.state != gone {
		earlier(c.out.deadline())
	}
	return first
}

// arm sets the timer. One that is set to an earlier time is left: it costs less
// to look twice than to move a timer with every datagram.
func (c *conn) arm() {
	next := c.deadline()
	if next == 0 || c.due > 0 && c.due <= next {
		return
	}
	c.due = next
	c.srv.wheel.Set(&c.timer, c, max(next-c.srv.now(), tick))
}

// onClock does what is due.
func (c *conn) onClock(now time.Duration) {
	if c.due > now {
		return
	}
	c.due = 0
	over := func(d time.Duration) bool { return d > 0 && d <= now }
	switch c.state {
	case asking:
		c.askAgain(now)
	case active:
		if c.lifetime > 0 && over(c.heard+time.Duration(grace*float64(c.keepalive()))) {
			c.lose(gateway.ErrKeepalive)
			return
		}
	case awake:
		if over(c.wake.until) {
			c.wake.over, c.wake.failed = true, false
		}
	case joining, napping, gone:
	}
	if c.out != nil && c.state != gone {
		c.repeat(now)
	}
}
