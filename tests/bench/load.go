package main

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// send: clients publish with receipts, window at a time.
func send(o options) (result, error) {
	var all histogram
	senders := make([]*client, o.clients)
	for i := range senders {
		c, err := o.dial(large)
		if err != nil {
			return result{}, err
		}
		defer c.Close()
		senders[i] = c
	}
	r, err := o.measured(func() (int64, error) {
		errs, waits := make([]error, o.clients), make([]histogram, o.clients)
		var wg sync.WaitGroup
		for i, c := range senders {
			wg.Go(func() { errs[i] = o.pump(c, fmt.Sprint(o.dest, i), &waits[i]) })
		}
		wg.Wait()
		for i := range waits {
			all.merge(&waits[i])
		}
		return all.n, errors.Join(errs...)
	})
	r.P50, r.P99, r.P999 = all.quantiles()
	return r, err
}

// patience is how long a server may take for what is under way at the end.
const patience = 20 * time.Second

// pump publishes over one connection and notes how long each receipt took.
func (o options) pump(c *client, dest string, waits *histogram) error {
	s := o.sender(dest)
	sent := make([]time.Time, o.window)
	var out []byte
	var next, got int64
	open, end := 0, time.Now().Add(o.seconds)
	if err := c.SetDeadline(end.Add(patience)); err != nil {
		return err
	}
	for {
		now := time.Now()
		out = out[:0]
		for now.Before(end) && open < o.window {
			sent[next%int64(o.window)] = now
			out = s.append(out, next, now)
			next++
			open++
		}
		if open == 0 {
			return nil
		}
		if len(out) > 0 {
			if _, err := c.Write(out); err != nil {
				return err
			}
		}
		for more := true; more; more = open > 0 && c.in.Buffered() > 64 { // of a receipt, not of a part of one
			if _, err := c.expect("RECEIPT"); err != nil {
				return err
			}
			waits.add(time.Since(sent[got%int64(o.window)]))
			got++
			open--
		}
	}
}

// quiet is how long nothing must come until the rest counts as lost.
const quiet = 3 * time.Second

// fanout: one publisher, clients receivers of its topic. A server may lose
// messages for a receiver that is too slow, and one that does has less to do, so
// what is lost is told.
func fanout(o options) (result, error) {
	dest := o.dest + "fan"
	var n atomic.Int64
	for range o.clients {
		c, err := o.dial(large)
		if err != nil {
			return result{}, err
		}
		defer c.Close()
		if err := c.subscribe(dest); err != nil {
			return result{}, err
		}
		go func() { // until Close; what is missing is told below
			for {
				if _, err := c.expect("MESSAGE"); err != nil {
					return
				}
				n.Add(1)
			}
		}()
	}
	out, err := o.dial(large)
	if err != nil {
		return result{}, err
	}
	defer out.Close()
	var want int64
	r, err := o.measured(func() (int64, error) {
		var sent histogram
		err := o.pump(out, dest, &sent)
		want = sent.n * int64(o.clients)
		for seen, since := n.Load(), time.Now(); err == nil && n.Load() < want && time.Since(since) < quiet; {
			time.Sleep(time.Millisecond)
			if now := n.Load(); now > seen {
				seen, since = now, time.Now()
			}
		}
		return n.Load(), err
	})
	if r.Lost = want - r.N; r.Lost > 0 && err == nil {
		r.PerSec = 0 // the time of waiting for what does not come is in it
	}
	return r, err
}
