package stomp

import (
	"context"
	"errors"
	"fmt"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

// finish says why the connection ends, as far as the device can hear it, gives
// back all it held, and closes it. It runs once, after run.
func (c *conn) finish(ctx context.Context, why error) {
	// Whatever failed, failed because the house wants to end.
	if ctx.Err() != nil && !errors.Is(why, errGoodbye) {
		why = ordered(context.Cause(ctx))
	}
	said := errors.Is(why, errGoodbye) && c.sends.goodbye != ""
	if reply, ok := replyFor(why); ok {
		said = c.out.frame(reply.frame(), c.spoken()) == nil
	}
	if err := c.out.flush(ctx); err != nil {
		said = false
	}
	c.calls.end()
	c.release(why)
	c.clock.timer.Stop()
	c.out.drop()
	c.in.halt(said)
	_ = c.in.nc.Close()
	c.env.Log.Debug("connection ended", "peer", c.peer.addr, "reason", why)
}

// spoken is the version that the device reads by: it learns by CONNECTED which
// one that is, and an ERROR before has no escapes.
func (c *conn) spoken() stomp.Version {
	if c.client == nil {
		return stomp.Unknown
	}
	return c.version
}

// ordered is a reason of the house; any that it has no word for is a shutdown.
func ordered(cause error) error {
	for _, known := range farewells() {
		if errors.Is(cause, known) {
			return cause
		}
	}
	return fmt.Errorf("%w: %w", gateway.ErrShutdown, cause)
}

// release gives the client back, then the messages that its device has not
// acknowledged: the other way round a queue would send them here again.
func (c *conn) release(why error) {
	if c.client == nil {
		return
	}
	reason := why
	if errors.Is(why, errGoodbye) {
		reason = nil
	}
	c.client.Close(reason)
	for _, s := range c.subs.byID {
		s.giveUp(&c.subs)
	}
	c.subs.byID, c.txs = nil, nil
}
