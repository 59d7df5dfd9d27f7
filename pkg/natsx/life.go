package natsx

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Life is that of a service in its process: it runs once, is ready at some
// moment, and ends.
type Life struct {
	name        string
	ready, done chan struct{}
	once        sync.Once
	failure     error // of run, to be read after done
}

// NewLife is a life that has not begun; name is that of the service, for errors.
func NewLife(name string) *Life {
	return &Life{name: name, ready: make(chan struct{}), done: make(chan struct{})}
}

// Run runs the service until it ends. It may be called once.
func (l *Life) Run(ctx context.Context, run func(context.Context) error) error {
	defer close(l.done)
	l.failure = run(ctx)
	return l.failure
}

// SetReady says that the service answers; again, it says nothing new.
func (l *Life) SetReady() { l.once.Do(func() { close(l.ready) }) }

// Ready waits until the service answers. It fails when Run has ended before.
func (l *Life) Ready(ctx context.Context) error {
	select {
	case <-l.ready:
		return nil
	case <-l.done:
		select {
		case <-l.ready: // it was, and both were there to choose from
			return nil
		default:
		}
		return errors.Join(fmt.Errorf("%s: ended before it was ready", l.name), l.failure)
	case <-ctx.Done():
		return fmt.Errorf("%s: not ready: %w", l.name, context.Cause(ctx))
	}
}
