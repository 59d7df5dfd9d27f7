package stomp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

// state is how far a connection has come.
type state uint8

const (
	fresh   state = iota // nothing but CONNECT is taken
	joining              // the door decides
	open
	leaving // DISCONNECT came; nothing is taken any more
)

// conn is one device. All fields belong to the owner, the goroutine in run.
type conn struct {
	edge    *edge
	env     gateway.Env
	peer    peer
	door    gateway.Door
	in      *reader
	out     writer
	calls   calls
	client  gateway.Client // nil until the door let it in
	state   state
	version stomp.Version
	named   bool // CONNECT had a client-id: durable subscriptions can be found again
	clock   clock
	subs    subscriptions
	sends   sends
	txs     map[string]*transaction
}

func newConn(e *edge, nc net.Conn, p peer, door gateway.Door, env gateway.Env) *conn {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	return &conn{
		edge: e, env: env, peer: p, door: door,
		in:    newReader(nc, e.limits, env),
		out:   writer{nc: nc, env: env, buffers: e.buffers, timeout: e.conf.WriteTimeout},
		calls: calls{done: make(chan result, 1)},
		clock: newClock(e.conf.IdleTimeout),
	}
}

// errGoodbye ends a connection that its device has ended by DISCONNECT.
var errGoodbye = errors.New("goodbye")

// run is the owner loop. It returns why the connection must end.
func (c *conn) run(ctx context.Context) error {
	for {
		if err := c.out.flush(ctx); err != nil {
			return err
		}
		c.out.rest()
		if err := c.step(ctx); err != nil {
			return err
		}
	}
}

// step waits for whatever comes first. Frames stay in the reader, and so in
// TCP, while they are held back.
func (c *conn) step(ctx context.Context) error {
	var frames <-chan incoming
	if held := c.held(); c.clock.reads(!held) {
		frames = c.in.frames
	}
	c.clock.arm(c.nextDeadline())
	var wake <-chan struct{}
	var kicked <-chan error
	if c.client != nil {
		wake, kicked = c.client.Wake(), c.client.Kicked()
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case in := <-frames:
		return c.onFrames(ctx, in)
	case <-wake:
		return c.onWake(ctx)
	case r := <-c.calls.done:
		c.calls.running = false
		return r.then(ctx, r)
	case <-c.clock.timer.C:
		return c.onTimer()
	case why := <-kicked:
		return ordered(why)
	}
}

// held tells that no frame may be taken now: the answer to an earlier one is
// out, or more publishes are in flight than the door's window allows.
func (c *conn) held() bool {
	if c.calls.running || c.state == joining || c.state == leaving {
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

// onFrames takes a frame, and those that wait behind it without going through
// the whole select again.
func (c *conn) onFrames(ctx context.Context, in incoming) error {
	c.clock.heard = time.Now()
	for n := 1; ; n++ {
		if in.err != nil {
			return c.readError(in)
		}
		if err := c.onFrame(ctx, in.frame); err != nil {
			return err
		}
		if n == maxFrames || c.out.full() || c.held() {
			return nil
		}
		select {
		case in = <-c.in.frames:
		default:
			return nil
		}
	}
}

func (c *conn) onFrame(ctx context.Context, f stomp.Frame) error {
	c.env.Metrics.FrameIn(f.Command)
	err := c.verb(ctx, f)
	if r, ok := errors.AsType[*refusal](err); ok {
		if r.receipt == "" {
			r.receipt = f.Get("receipt")
		}
		if errors.Is(r, gateway.ErrProtocol) {
			c.env.Metrics.FrameError("unexpected")
		}
	}
	return err
}

// verb is the table of what may come when (STOMP 1.2 "Client Frames").
func (c *conn) verb(ctx context.Context, f stomp.Frame) error {
	if f.Command == stomp.CmdConnect || f.Command == stomp.CmdStomp {
		return c.onConnect(ctx, f)
	}
	if c.state != open {
		return violation("Not connected: the first frame must be CONNECT or STOMP, not %s", f.Command)
	}
	switch f.Command {
	case stomp.CmdSend:
		return c.onSend(ctx, f)
	case stomp.CmdSubscribe:
		return c.onSubscribe(ctx, f)
	case stomp.CmdUnsubscribe:
		return c.onUnsubscribe(ctx, f)
	case stomp.CmdAck, stomp.CmdNack:
		return c.onAck(ctx, f)
	case stomp.CmdBegin:
		return c.onBegin(f)
	case stomp.CmdCommit:
		return c.onCommit(ctx, f)
	case stomp.CmdAbort:
		return c.onAbort(f)
	case stomp.CmdDisconnect:
		return c.onDisconnect(ctx, f)
	}
	return violation("%s is not for clients to send", f.Command)
}

// readError makes a reason of the reader's last word.
func (c *conn) readError(in incoming) error {
	kind, label := api.Invalid, "malformed"
	switch {
	case errors.Is(in.err, stomp.ErrTooLarge), errors.Is(in.err, errBudget):
		kind, label = api.TooLarge, "too_large"
	case errors.Is(in.err, stomp.ErrSyntax):
	case errors.Is(in.err, errPanic):
		return in.err
	default:
		return gateway.ErrClosed
	}
	c.env.Metrics.FrameError(label)
	return excess(kind, "Frame error: %v", in.err).of(in.frame.Get("receipt"))
}

// receipt answers a frame that has been processed, if it asked for it
// (STOMP 1.2 "RECEIPT").
func (c *conn) receipt(id string) error {
	if id == "" {
		return nil
	}
	return c.out.frame(stomp.Frame{Command: stomp.CmdReceipt, Headers: []stomp.Header{{Name: "receipt-id", Value: id}}}, c.version)
}

// required is the value of a header that a frame must have.
func required(f stomp.Frame, name string) (string, error) {
	if v := f.Get(name); v != "" {
		return v, nil
	}
	return "", violation("%s needs a header %s", f.Command, name)
}
