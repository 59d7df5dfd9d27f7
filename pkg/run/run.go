// Package run starts the parts of a process in order and stops them in the
// reverse one.
package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// DefaultTimeout is how long one actor may take to stop.
const DefaultTimeout = 10 * time.Second

// Runner is a part of a process: Run blocks until ctx ends, or fails before.
type Runner interface {
	Run(ctx context.Context) error
}

// Group is a set of actors that live and die together.
//
// They start in the order in which they were added, each when the one before
// has said that it is ready (see [Ready]; an actor without it is ready at once).
// What others need comes first: NATS, then services, then listeners. The first
// one to return, with an error or without, or the end of Run's ctx, stops all:
// from the last to the first, one after the other, so that no actor ever misses
// one that it was built upon. An actor that does not stop in time is left behind
// and the next one's turn comes.
//
// The zero value is ready to use. Run may be called once.
type Group struct {
	Timeout time.Duration // for each actor to stop; default DefaultTimeout
	Log     *slog.Logger  // starts and stops, at debug level; nil = none

	actors []*actor
}

type actor struct {
	name   string
	run    func(context.Context) error
	ready  <-chan struct{}
	cancel context.CancelCauseFunc
	done   chan struct{} // closed after err is set
	err    error
}

// Option says more of an actor.
type Option func(*actor)

// Ready holds the next actor back until the channel is closed. An actor that
// never closes it can still be stopped.
func Ready(ch <-chan struct{}) Option { return func(a *actor) { a.ready = ch } }

// Add adds an actor. Its ctx ends when it is its turn to stop, with the reason
// as the cause.
func (g *Group) Add(name string, run func(ctx context.Context) error, opts ...Option) {
	a := &actor{name: name, run: run, done: make(chan struct{})}
	for _, o := range opts {
		o(a)
	}
	g.actors = append(g.actors, a)
}

// Run returns when all actors have stopped or were given up. The error is the
// first failure, joined by one for each actor that did not stop in time; nil
// when ctx ended, or an actor returned nil, and all went down cleanly. To return
// the error or the cause of its ctx is clean for an actor that was stopped.
func (g *Group) Run(ctx context.Context) error {
	started, stopped := g.startAll(ctx)
	var failure error
	why := context.Cause(ctx)
	if stopped != nil {
		failure = stopped.failure(nil)
		why = fmt.Errorf("run: %s ended: %v", stopped.name, stopped.err) // %v: a cancelled part is not a cancelled whole
	}
	var late []error
	for _, a := range slices.Backward(started) {
		if !g.stop(a, why) {
			late = append(late, fmt.Errorf("run: %s did not stop within %s", a.name, g.timeout()))
		} else if failure == nil && a != stopped {
			failure = a.failure(why)
		}
	}
	return errors.Join(append([]error{failure}, late...)...)
}

// startAll starts all actors, or as many as it comes to before something ends;
// stopped is the actor that returned first, nil when it was ctx that ended.
func (g *Group) startAll(ctx context.Context) (started []*actor, stopped *actor) {
	first := make(chan *actor, len(g.actors))
	for i, a := range g.actors {
		g.start(ctx, a, first)
		if a.ready == nil {
			continue
		}
		if stopped = await(ctx, a.ready, first); stopped != nil || ctx.Err() != nil {
			return g.actors[:i+1], stopped
		}
	}
	return g.actors, await(ctx, nil, first)
}

// start runs an actor under a context of its own, which keeps ctx's values but
// not its end: that would stop all at once.
func (g *Group) start(ctx context.Context, a *actor, first chan<- *actor) {
	ctx, a.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	g.debug("starting", a)
	go func() {
		a.err = a.run(ctx)
		close(a.done)
		first <- a
	}()
}

// await waits for ready, if there is such a thing, for the end of ctx, or for
// the first actor that returns.
func await(ctx context.Context, ready <-chan struct{}, first <-chan *actor) *actor {
	select {
	case a := <-first:
		return a
	case <-ctx.Done():
	case <-ready:
	}
	return nil
}

func (g *Group) stop(a *actor, why error) bool {
	a.cancel(why)
	timer := time.NewTimer(g.timeout())
	defer timer.Stop()
	select {
	case <-a.done:
		g.debug("stopped", a)
		return true
	case <-timer.C:
		return false
	}
}

// failure is the actor's error, unless it only says that it was stopped.
func (a *actor) failure(why error) error {
	if a.err == nil || why != nil && (errors.Is(a.err, context.Canceled) || errors.Is(a.err, why)) {
		return nil
	}
	return fmt.Errorf("%s: %w", a.name, a.err)
}

func (g *Group) timeout() time.Duration {
	if g.Timeout > 0 {
		return g.Timeout
	}
	return DefaultTimeout
}

func (g *Group) debug(text string, a *actor) {
	if g.Log != nil {
		g.Log.Debug(text, "actor", a.name)
	}
}
