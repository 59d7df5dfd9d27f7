package main

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// send: clients publish with receipts, window at a time.
func send(o options) (result, error) {
	var mu sync.Mutex
	var waits []time.Duration
	r, err := o.measured(func() (int64, error) {
		var n atomic.Int64
		errs := make([]error, o.clients)
		var wg sync.WaitGroup
		for i := range o.clients {
			wg.Go(func() {
				var mine []time.Duration
				mine, errs[i] = o.pump(fmt.Sprint(o.dest, i))
				n.Add(int64(len(mine)))
				mu.Lock()
				waits = append(waits, mine...)
				mu.Unlock()
			})
		}
		wg.Wait()
		return n.Load(), errors.Join(errs...)
	})
	r.P50, r.P99 = quantiles(waits)
	return r, err
}

// pump publishes over one connection and gives how long each receipt took.
func (o options) pump(dest string) (waits []time.Duration, err error) {
	c, err := o.dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	s := o.sender(dest)
	sent := make([]time.Time, o.window)
	var out []byte
	var next int64
	for got, open, end := 0, 0, time.Now().Add(o.seconds); ; {
		now := time.Now()
		out = out[:0]
		for now.Before(end) && open < o.window {
			sent[next%int64(o.window)] = now
			out = s.append(out, next)
			next++
			open++
		}
		if open == 0 {
			return waits, nil
		}
		if len(out) > 0 {
			if _, err := c.Write(out); err != nil {
				return nil, err
			}
		}
		for more := true; more; more = open > 0 && c.in.Buffered() > 64 {
			if err := c.expect("RECEIPT"); err != nil {
				return nil, err
			}
			waits = append(waits, time.Since(sent[got%o.window]))
			got++
			open--
		}
	}
}

// fanout: one publisher, clients receivers of its topic.
func fanout(o options) (result, error) {
	dest := o.dest + "fan"
	var n atomic.Int64
	for range o.clients {
		c, err := o.dial()
		if err != nil {
			return result{}, err
		}
		defer c.Close()
		if err := c.subscribe(dest); err != nil {
			return result{}, err
		}
		go func() {
			for {
				if _, err := c.frame(); err != nil {
					return
				}
				n.Add(1)
			}
		}()
	}
	return o.measured(func() (int64, error) {
		sent, err := o.pump(dest)
		want := int64(len(sent) * o.clients)
		for end := time.Now().Add(10 * time.Second); n.Load() < want && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if n.Load() < want {
			err = errors.Join(err, fmt.Errorf("%d of %d deliveries came", n.Load(), want))
		}
		return n.Load(), err
	})
}

// latency: one publisher at a steady rate, one receiver; end to end.
func latency(o options) (result, error) {
	dest := o.dest + "lat"
	in, err := o.dial()
	if err != nil {
		return result{}, err
	}
	defer in.Close()
	if err := in.subscribe(dest); err != nil {
		return result{}, err
	}
	total := int(o.seconds.Seconds() * float64(o.rate))
	waits := make([]time.Duration, 0, total)
	done := make(chan error, 1)
	go func() {
		for len(waits) < total {
			f, err := in.frame()
			if err != nil {
				done <- err
				return
			}
			waits = append(waits, time.Since(stamped(f)))
		}
		done <- nil
	}()
	out, err := o.dial()
	if err != nil {
		return result{}, err
	}
	defer out.Close()
	go func() { // receipts
		for {
			if _, err := out.frame(); err != nil {
				return
			}
		}
	}()
	r, err := o.measured(func() (int64, error) {
		s, start, every := o.sender(dest), time.Now(), time.Second/time.Duration(o.rate)
		for i := range total {
			time.Sleep(time.Until(start.Add(time.Duration(i) * every)))
			if _, err := out.Write(s.append(nil, int64(i))); err != nil {
				return 0, err
			}
		}
		return int64(total), <-done
	})
	r.P50, r.P99 = quantiles(waits)
	return r, err
}

// idle: clients that are connected and do nothing.
func idle(o options) (result, error) {
	before, err := o.rss()
	if err != nil {
		return result{}, err
	}
	for range o.clients {
		c, err := o.dial()
		if err != nil {
			return result{}, err
		}
		defer c.Close()
	}
	time.Sleep(o.seconds) // what connecting cost is given back
	after, err := o.rss()
	return result{N: int64(o.clients), RSS: float64(after-before) / float64(o.clients)}, err
}

// quantiles in milliseconds.
func quantiles(d []time.Duration) (p50, p99 float64) {
	if len(d) == 0 {
		return 0, 0
	}
	slices.Sort(d)
	at := func(q float64) float64 { return float64(d[int(q*float64(len(d)-1))].Microseconds()) / 1000 }
	return at(0.5), at(0.99)
}
