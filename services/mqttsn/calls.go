package mqttsn

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"sluice/pkg/gateway"
)

// maxOps bounds the requests that wait while a call is under way: a device has
// one outstanding (MQTT-SN 1.2 §6.9).
const maxOps = 8

// op is a request of the device that needs a call.
type op func()

// call runs f, which may block, in a goroutine of its own; then gets what became
// of it, with the conn locked.
func (c *conn) call(limit time.Duration, f func(context.Context) (gateway.Client, error), then func(gateway.Client, error)) {
	c.calling = true
	s, gen := c.srv, c.gen
	s.goroutines.Go(func() {
		client, err := s.bounded(limit, f)
		c.guard(func() {
			if gen != c.gen {
				if client != nil && err == nil {
					client.Close(gateway.ErrClosed)
				}
				return
			}
			c.calling = false
			then(client, err)
			c.proceed()
			c.settle()
		})
	})
}

// bounded runs f under a deadline.
func (s *server) bounded(limit time.Duration, f func(context.Context) (gateway.Client, error)) (client gateway.Client, err error) {
	ctx, cancel := context.WithTimeoutCause(s.life, limit, errCallTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			s.env.Log.Error("panic", "value", v, "stack", string(debug.Stack()))
			client, err = nil, fmt.Errorf("%w: %v", errPanic, v)
		}
	}()
	client, err = f(ctx)
	if err != nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), errCallTimeout) {
		err = errCallTimeout
	}
	return client, err
}

// await does o now, or after the call that is under way; false when too many
// wait already.
func (c *conn) await(o op) bool {
	switch {
	case !c.calling && len(c.ops) == 0:
		o()
	case len(c.ops) >= maxOps:
		return false
	default:
		c.ops = append(c.ops, o)
	}
	return true
}

// proceed does what has waited, until something calls again.
func (c *conn) proceed() {
	for !c.calling && len(c.ops) > 0 && (c.state == active || c.state == awake) {
		o := c.ops[0]
		if c.ops = c.ops[1:]; len(c.ops) == 0 {
			c.ops = nil
		}
		o()
	}
}
