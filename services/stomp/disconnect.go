package stomp

import (
	"errors"
	"time"

	"sluice/pkg/wire/stomp"
)

// leaveTimeout bounds the wait for publishes that are not stored yet; the door
// gives up on them earlier.
const leaveTimeout = 25 * time.Second

var errUnstored = errors.New("publishes were not stored in time")

// onDisconnect ends the conversation (STOMP 1.2 "DISCONNECT"). Its receipt says
// that all earlier frames are processed, so it waits for what is not stored.
func (c *conn) onDisconnect(f stomp.Frame) error {
	c.state = leaving
	c.sends.goodbye = f.Get("receipt")
	c.clock.leave = time.Now().Add(leaveTimeout)
	c.txs = nil
	return c.leave()
}

// leave ends the connection if nothing is waited for any more.
func (c *conn) leave() error {
	if len(c.sends.pending) > 0 {
		return nil
	}
	if n, _ := c.client.Inflight(); n > 0 && c.sends.goodbye != "" {
		return nil
	}
	if err := c.receipt(c.sends.goodbye); err != nil {
		return err
	}
	return errGoodbye
}
