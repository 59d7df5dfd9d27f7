package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/urfave/cli/v2"

	"sluice/pkg/sim"
)

// simCommand has simulated devices; it needs an edge and no NATS.
func simCommand() *cli.Command {
	return group("sim", "simulated devices", &cli.Command{
		Name: "jt808", Usage: "terminals of JT/T 808 that drive around and report where they are", HideHelpCommand: true, OnUsageError: onUsageError,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "addr", Value: "127.0.0.1:6207", Usage: "`HOST:PORT` of the edge"},
			&cli.IntFlag{Name: "count", Value: 10, Usage: "`N` terminals"},
			&cli.DurationFlag{Name: "every", Value: time.Second, Usage: "between locations of one terminal; 0 = as soon as the last one is answered"},
			&cli.DurationFlag{Name: "for", Usage: "how long; 0 = until it is interrupted"},
			&cli.StringFlag{Name: "phone", Value: "13900000000", Usage: "`DIGITS` of the first terminal; the others count on"},
			&cli.StringFlag{Name: "code", Value: "anonymous", Usage: "for authentication"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 || c.Int("count") < 1 {
				return usagef("--count must be at least 1, and there are no arguments")
			}
			var first int64
			if _, err := fmt.Sscanf(c.String("phone"), "%d", &first); err != nil {
				return usagef("--phone %q is not a number", c.String("phone"))
			}
			f := fleet{addr: c.String("addr"), code: c.String("code"), every: c.Duration("every"), first: first, count: c.Int("count")}
			ctx := c.Context
			if d := c.Duration("for"); d > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, d)
				defer cancel()
			}
			return f.run(ctx, c.App.Writer)
		},
	})
}

// fleet is many terminals.
type fleet struct {
	addr, code string
	every      time.Duration
	first      int64
	count      int

	connected, answered, failed atomic.Int64
	why                         atomic.Value // error, the last
}

// run drives until ctx ends, and says every second how it goes.
func (f *fleet) run(ctx context.Context, out io.Writer) error {
	var driving sync.WaitGroup
	for i := range f.count {
		driving.Go(func() { f.drive(ctx, i) })
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	begin, last := time.Now(), int64(0)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			n := f.answered.Load()
			if _, err := fmt.Fprintf(out, "%d terminals connected, %d locations answered, %d a second\n", f.connected.Load(), n, n-last); err != nil {
				return err
			}
			last = n
		}
	}
	driving.Wait()
	n := f.answered.Load()
	if _, err := fmt.Fprintf(out, "%d locations answered in %.1f s, %d connections failed\n", n, time.Since(begin).Seconds(), f.failed.Load()); err != nil {
		return err
	}
	if why, ok := f.why.Load().(error); ok && n == 0 {
		return fmt.Errorf("no location was answered: %w", why)
	}
	return nil
}

// drive is one terminal, over any number of connections.
func (f *fleet) drive(ctx context.Context, i int) {
	for n := uint32(0); ctx.Err() == nil; {
		err := f.connection(ctx, i, &n)
		if ctx.Err() != nil {
			return
		}
		f.failed.Add(1)
		f.why.Store(fmt.Errorf("terminal %d: %w", f.first+int64(i), err))
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (f *fleet) connection(ctx context.Context, i int, n *uint32) error {
	d, err := sim.DialJT808(ctx, sim.JT808Options{
		Phone: fmt.Sprint(f.first + int64(i)), Code: f.code,
		Dial: func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", f.addr) },
	})
	if err != nil {
		return err
	}
	f.connected.Add(1)
	defer f.connected.Add(-1)
	defer func() { _ = d.Close() }() // nothing is to be saved
	for ctx.Err() == nil {
		at := sim.JT808Location(31230000+*n, 121470000+uint32(i), *n, time.Now())
		if err := d.Report(ctx, 0x0200, uint16(*n), at); err != nil {
			return err
		}
		*n++
		f.answered.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(f.every):
		}
	}
	return nil
}
