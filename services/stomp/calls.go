package stomp

import (
	"context"
	"errors"
	"sync"
	"time"

	"sluice/pkg/gateway"
)

// result is what became of a call, and what the owner does with it.
type result struct {
	client gateway.Client // of Door.Connect
	err    error
	then   func(context.Context, result) error
}

// calls runs those calls of the door that block, one at a time, each in a
// goroutine of its own that end waits for. Frames are held back meanwhile.
type calls struct {
	done    chan result // 1 deep: a call never waits for the owner
	running bool
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// call runs f under a deadline; then is called by the owner.
func (c *conn) call(ctx context.Context, limit time.Duration, cause error, f func(context.Context) (gateway.Client, error), then func(context.Context, result) error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, cause)
	c.calls.running, c.calls.cancel = true, cancel
	c.calls.wg.Go(func() {
		defer cancel()
		r := result{then: then}
		defer func() {
			r.err = guard(recover(), c.env.Log, r.err)
			c.calls.done <- r
		}()
		r.client, r.err = f(ctx)
		if r.err != nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), cause) {
			r.err = cause
		}
	})
}

// end cancels what runs and waits for it. A client that came in meanwhile goes
// again.
func (c *calls) end() {
	if c.cancel != nil {
		c.cancel()
	}
	c.wg.Wait()
	select {
	case r := <-c.done:
		if r.client != nil && r.err == nil {
			r.client.Close(gateway.ErrClosed)
		}
	default:
	}
}
