package listen

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// faulty is a socket whose Accept fails.
type faulty struct {
	fails  int
	mu     sync.Mutex
	at     []time.Time
	conn   net.Conn
	closed chan struct{}
	once   atomic.Bool
}

func (f *faulty) Accept() (net.Conn, error) {
	f.mu.Lock()
	f.at = append(f.at, time.Now())
	n := len(f.at)
	f.mu.Unlock()
	if n <= f.fails {
		return nil, errors.New("too many open files")
	}
	if c := f.conn; c != nil {
		f.conn = nil
		return c, nil
	}
	<-f.closed
	return nil, net.ErrClosed
}

func (f *faulty) Close() error {
	if f.once.CompareAndSwap(false, true) {
		close(f.closed)
	}
	return nil
}

func (f *faulty) Addr() net.Addr { return &net.TCPAddr{} }

func TestAcceptErrorsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		f := &faulty{fails: 10, conn: server, closed: make(chan struct{})}
		s, err := newState(config(TCP))
		require.NoError(t, err)
		l := newListener(f, s, nil, nil)
		served := make(chan error, 1)
		go func() { served <- l.Serve(t.Context(), echo) }()
		ping(t, client, "in the end")
		f.mu.Lock()
		at := slices.Clone(f.at)
		f.mu.Unlock()
		want := minBackoff
		for i := 1; i <= f.fails; i++ {
			require.Equal(t, want, at[i].Sub(at[i-1]))
			want = min(2*want, maxBackoff)
		}
		require.Equal(t, maxBackoff, want)
		_ = client.Close()
		require.NoError(t, l.Close())
		require.NoError(t, <-served)
	})
}

func TestCloseEndsTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &faulty{fails: 1 << 30, closed: make(chan struct{})}
		s, err := newState(config(TCP))
		require.NoError(t, err)
		l := newListener(f, s, nil, nil)
		served := make(chan error, 1)
		go func() { served <- l.Serve(t.Context(), echo) }()
		time.Sleep(10*time.Second + time.Millisecond) // synctest's: no time passes
		begin := time.Now()
		require.NoError(t, l.Close())
		require.NoError(t, <-served)
		require.Equal(t, begin, time.Now())
	})
}

func TestSocketClosedByOthers(t *testing.T) {
	x := start(t, config(TCP), echo)
	require.NoError(t, x.socket.Close())
	require.NoError(t, <-x.served)
}

func TestDrainTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer func() { _ = client.Close() }()
		f := &faulty{conn: server, closed: make(chan struct{})}
		s, err := newState(config(TCP))
		require.NoError(t, err)
		l := newListener(f, s, nil, nil)
		ctx, cancel := context.WithCancelCause(t.Context())
		served := make(chan error, 1)
		why := make(chan error, 1)
		go func() {
			served <- l.Serve(ctx, func(ctx context.Context, c *Conn) {
				<-ctx.Done()
				why <- context.Cause(ctx)
				stubborn(ctx, c)
			})
		}()
		synctest.Wait()
		begin, errWhy := time.Now(), errors.New("power")
		cancel(errWhy)
		require.Equal(t, errWhy, <-why)
		require.ErrorContains(t, <-served, "1 connections cut: drain timeout")
		require.Equal(t, DrainTimeout, time.Since(begin))
	})
}
