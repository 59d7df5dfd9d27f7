package stomp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sluice/pkg/api"
	"sluice/pkg/wire/stomp"
)

// leaveTimeout bounds the wait for publishes that are not stored yet; the door
// gives up on them earlier.
const leaveTimeout = 25 * time.Second

var errUnstored = errors.New("publishes were not stored in time")

// onDisconnect ends the conversation (STOMP 1.2 "DISCONNECT"). Its receipt says
// that all earlier frames are processed, so it waits for what is not stored.
func (c *conn) onDisconnect(ctx context.Context, f stomp.Frame) error {
	c.state = leaving
	c.sends.goodbye = f.Get("receipt")
	c.clock.leave = time.Now().Add(leaveTimeout)
	c.txs = nil
	return c.leave(ctx)
}

// leave ends the connection if nothing is waited for any more. The door tells
// of a lost publish before it takes it out of flight, so what it has said by
// then is taken last.
func (c *conn) leave(ctx context.Context) error {
	if n, _ := c.client.Inflight(); n > 0 && (c.sends.goodbye != "" || len(c.sends.pending) > 0) {
		return nil
	}
	if err := c.take(ctx); err != nil {
		return err
	}
	switch {
	case len(c.sends.pending) > 0:
		return nil
	case c.sends.lost > 0 && c.sends.goodbye != "":
		return c.unstored()
	}
	if err := c.receipt(c.sends.goodbye); err != nil {
		return err
	}
	return errGoodbye
}

// unstored refuses the receipt of DISCONNECT, which would say that all before
// it is processed.
func (c *conn) unstored() error {
	text := "1 message without receipt is not stored"
	if c.sends.lost > 1 {
		text = fmt.Sprintf("%d messages without receipt are not stored", c.sends.lost)
	}
	return &refusal{kind: api.Unavailable, text: text, receipt: c.sends.goodbye, cause: errUnstored}
}
