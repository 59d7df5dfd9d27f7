package jt808

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/jt808"
)

// conn is one terminal. All fields belong to the owner, the goroutine in run.
type conn struct {
	edge    *edge
	env     gateway.Env
	peer    peer
	door    gateway.Door
	in      *reader
	out     writer
	client  gateway.Client // nil until the door let it in
	joining chan joined    // while the door decides; nil otherwise
	leaving bool           // it has said goodbye, or is to hear why it goes
	tries   int            // authentications that failed

	phone   jt808.Phone // of the first registration or authentication
	edition jt808.Edition
	version uint8 // of its header
	topic   string
	serial  uint16 // of our next frame
	reports reports
	gaps    jt808.Gaps
	sent    commands

	born, heard time.Time
	timer       *time.Timer
}

func newConn(e *edge, nc net.Conn, p peer, door gateway.Door, env gateway.Env) *conn {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	now := time.Now()
	c := &conn{
		edge: e, env: env, peer: p, door: door,
		in:  newReader(nc, int(e.conf.MaxPacketSize), env),
		out: writer{nc: nc, env: env, timeout: e.conf.WriteTimeout},
		gaps: jt808.Gaps{
			Wait: e.conf.Packets.Wait, Rounds: e.conf.Packets.Rounds, Open: e.conf.Packets.Open,
		},
		born: now, heard: now, timer: time.NewTimer(e.conf.IdleTimeout),
	}
	c.reports.of = map[uint64]pending{}
	return c
}

// errGoodbye ends a connection that its terminal has ended, by 0x0003.
var errGoodbye = errors.New("goodbye")

// run is the owner loop. It returns why the connection must end.
func (c *conn) run(ctx context.Context) error {
	for {
		if err := c.out.flush(); err != nil {
			return err
		}
		if c.leaving && len(c.reports.of) == 0 {
			return errGoodbye
		}
		if err := c.step(ctx); err != nil {
			return err
		}
	}
}

// step waits for whatever comes first. Frames stay in the reader, and so in TCP,
// while the door decides or too much is not stored yet.
func (c *conn) step(ctx context.Context) error {
	var frames <-chan incoming
	if !c.held() {
		frames = c.in.frames
	}
	var wake <-chan struct{}
	var kicked <-chan error
	if c.client != nil {
		wake, kicked = c.client.Wake(), c.client.Kicked()
	}
	c.timer.Reset(time.Until(c.deadline()))
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case in := <-frames:
		return c.onFrames(ctx, in)
	case <-wake:
		return c.onWake(ctx)
	case j := <-c.joining:
		return c.onJoined(j)
	case why := <-kicked:
		return why
	case <-c.timer.C:
		return c.onTimer(time.Now())
	}
}

func (c *conn) held() bool {
	if c.joining != nil || c.leaving {
		return true
	}
	if c.client == nil {
		return false
	}
	n, window := c.client.Inflight()
	return n >= window
}

// maxFrames is how many frames are taken before the others have their turn.
const maxFrames = 64

func (c *conn) onFrames(ctx context.Context, in incoming) error {
	c.heard = time.Now()
	for n := 1; ; n++ {
		if err := c.onIncoming(ctx, in); err != nil {
			return err
		}
		if n == maxFrames || c.held() {
			return nil
		}
		select {
		case in = <-c.in.frames:
		default:
			return nil
		}
	}
}

// onIncoming answers a frame that is wrong behind its header with result 2, and
// skips one whose header cannot be read (§2).
func (c *conn) onIncoming(ctx context.Context, in incoming) error {
	if in.end {
		switch {
		case errors.Is(in.err, errPanic):
			return in.err
		case errors.Is(in.err, errBudget):
			return fmt.Errorf("%w: %w", gateway.ErrProtocol, in.err)
		}
		return gateway.ErrClosed
	}
	if in.err == nil {
		return c.onFrame(ctx, in.frame)
	}
	c.env.Metrics.FrameError("malformed")
	if bad, ok := errors.AsType[*jt808.FrameError](in.err); ok && c.client != nil && bad.Header.Phone.Key() == c.phone.Key() {
		c.general(bad.Header, resultBad)
	}
	return c.budget()
}

// budget ends a stranger that sends much and is nobody.
func (c *conn) budget() error {
	if c.client == nil && c.joining == nil {
		if c.tries++; c.tries > maxTries {
			return gateway.ErrProtocol
		}
	}
	return nil
}

// maxTries is how often a connection may send what is not for strangers, or fail
// to authenticate.
const maxTries = 5

func (c *conn) deadline() time.Time {
	at := c.born.Add(c.edge.conf.IdleTimeout)
	if c.client != nil {
		at = c.heard.Add(c.edge.conf.Keepalive)
	}
	if next := c.gaps.Next(); !next.IsZero() && next.Before(at) {
		return next
	}
	return at
}

func (c *conn) onTimer(now time.Time) error {
	for _, m := range c.gaps.Due(now) {
		if m.GivenUp {
			c.env.Log.Info("packets of a long message did not come", "client", c.phone.Key(), "message", name(m.ID), "missing", len(m.Indexes))
			continue
		}
		c.askFor(m)
	}
	switch {
	case c.client == nil && c.joining == nil && now.Sub(c.born) >= c.edge.conf.IdleTimeout:
		return gateway.ErrIdle
	case c.client != nil && now.Sub(c.heard) >= c.edge.conf.Keepalive:
		return gateway.ErrKeepalive
	}
	return nil
}

// finish gives back all that the connection held, and closes it. It runs once,
// after run.
func (c *conn) finish(ctx context.Context, why error) {
	if ctx.Err() != nil && !errors.Is(why, errGoodbye) {
		why = context.Cause(ctx)
	}
	_ = c.out.flush() // whatever failed, what can still be said is said
	_ = c.out.nc.Close()
	c.in.halt()
	if c.joining != nil {
		if j := <-c.joining; j.client != nil { // Connect has its own time-out
			j.client.Close(gateway.ErrClosed)
		}
	}
	if c.client != nil {
		reason := why
		if errors.Is(why, errGoodbye) {
			reason = nil
		}
		c.client.Close(reason)
		c.sent.giveUp()
	}
	c.timer.Stop()
	c.env.Log.Debug("connection ended", "peer", c.peer.addr, "client", c.phone.Key(), "reason", why)
}
