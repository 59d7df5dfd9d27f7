package listen

import (
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// guard ends a connection whose goroutine panics, and nothing else. It must be
// deferred itself, or it recovers nothing.
func (l *Listener) guard(c *Conn) {
	v := recover()
	if v == nil {
		return
	}
	l.obs.Panic()
	stack := debug.Stack()
	l.loud.say(func(more int) {
		l.log.Error("panic in a connection", "peer", c.RemoteAddr().String(), "value", v, "stack", string(stack), "suppressed", more)
	})
}

// loudness bounds what is logged on behalf of peers, and counts the rest.
type loudness struct {
	mu         sync.Mutex
	limiter    *rate.Limiter
	suppressed int
}

func newLoudness() *loudness { return &loudness{limiter: rate.NewLimiter(rate.Every(time.Second), 5)} }

// say calls f with the number of calls left out since the last one, or not at all.
func (o *loudness) say(f func(suppressed int)) {
	o.mu.Lock()
	if !o.limiter.Allow() {
		o.suppressed++
		o.mu.Unlock()
		return
	}
	n := o.suppressed
	o.suppressed = 0
	o.mu.Unlock()
	f(n)
}
