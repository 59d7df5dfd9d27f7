package listen

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPanicEndsOneConnection(t *testing.T) {
	a := newAuthority(t)
	for _, typ := range []string{TCP, WSS} {
		t.Run(typ, func(t *testing.T) {
			x := start(t, a.server(typ), func(ctx context.Context, c *Conn) {
				var b [1]byte
				_, _ = c.Read(b[:])
				if b[0] == '!' {
					panic("boom")
				}
				_, _ = c.Write(b[:])
				echo(ctx, c)
			})
			good := x.open(t, typ, a)
			ping(t, good, "g")
			for range 20 {
				bad := x.open(t, typ, a)
				_, err := bad.Write([]byte("!"))
				require.NoError(t, err)
				gone(t, bad)
			}
			require.Equal(t, 20, x.get(func(c *counts) int { return c.panics }))
			ping(t, good, "still here")
			require.Eventually(t, func() bool { return x.Current() == 1 }, patience, time.Millisecond)
			logged := x.logged.String()
			require.Contains(t, logged, "boom")
			require.Contains(t, logged, "guard_test.go", "the stack tells where")
			require.Less(t, strings.Count(logged, "panic in a connection"), 20)
		})
	}
}

// brittle panics when it is closed.
type brittle struct{ net.Conn }

func (b brittle) Close() error { panic("brittle") }

func TestPanicInCloseLeavesNothing(t *testing.T) {
	x := start(t, config(TCP), func(_ context.Context, c *Conn) { c.Conn = brittle{c.Conn} })
	gone(t, x.dial(t))
	require.Eventually(t, func() bool { return x.Current() == 0 }, patience, time.Millisecond)
	require.Equal(t, 1, x.get(func(c *counts) int { return c.panics }))
}

func TestSuppressedAreCounted(t *testing.T) {
	o := newLoudness()
	said, last := 0, 0
	for range 50 {
		o.say(func(int) { said++ })
	}
	require.Less(t, said, 50)
	o.limiter.SetBurst(1000)
	o.limiter.SetLimit(1e9)
	require.Eventually(t, func() bool {
		o.say(func(n int) { last = n })
		return last > 0
	}, patience, time.Millisecond)
	require.Equal(t, 50, said+last)
}
