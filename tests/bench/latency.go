package main

import (
	"math/bits"
	"time"
)

// histogram counts durations in buckets that are at most 1/64 wide of their
// value, so that quantiles of any range are good to that.
type histogram struct {
	n     int64
	count [64 * fine]int64
}

const (
	fineBits = 6
	fine     = 1 << fineBits
)

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	shift := max(bits.Len64(v)-fineBits-1, 0)
	return shift*fine + int(v>>shift)
}

// middle is the value in the middle of a bucket.
func middle(i int) time.Duration {
	if i < 2*fine {
		return time.Duration(i)
	}
	shift := i/fine - 1
	return time.Duration((uint64(i%fine+fine) << shift) + uint64(1)<<shift/2)
}

func (h *histogram) add(d time.Duration) {
	h.n++
	h.count[bucket(d)]++
}

func (h *histogram) merge(other *histogram) {
	h.n += other.n
	for i, n := range other.count {
		h.count[i] += n
	}
}

// quantile is the value that a share q of all do not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	rank, seen := int64(q*float64(h.n-1)), int64(0)
	for i, n := range h.count {
		if seen += n; seen > rank {
			return middle(i)
		}
	}
	return 0
}

// quantiles in milliseconds.
func (h *histogram) quantiles() (p50, p99, p999 float64) {
	ms := func(q float64) float64 { return float64(h.quantile(q).Nanoseconds()) / 1e6 }
	return ms(0.5), ms(0.99), ms(0.999)
}

// latency: one publisher at a steady rate that waits for nothing, so that a slow
// server is not spared, and one receiver; end to end, from the write on.
func latency(o options) (result, error) {
	dest := o.dest + "lat"
	in, err := o.dial(large)
	if err != nil {
		return result{}, err
	}
	defer in.Close()
	if err := in.subscribe(dest); err != nil {
		return result{}, err
	}
	out, err := o.dial(large)
	if err != nil {
		return result{}, err
	}
	defer out.Close()
	total := int64(o.seconds.Seconds() * float64(o.rate))
	var waits histogram
	done := make(chan error, 2)
	go func() { done <- receive(in, total, o.seconds, &waits) }()
	go func() { done <- receipts(out, total, o.seconds) }()
	r, err := o.measured(func() (int64, error) {
		if err := o.steady(out, dest, total); err != nil {
			return 0, err
		}
		for range 2 {
			if err := <-done; err != nil {
				return 0, err
			}
		}
		return total, nil
	})
	r.P50, r.P99, r.P999 = waits.quantiles()
	return r, err
}

// steady writes total messages, rate a second.
func (o options) steady(out *client, dest string, total int64) error {
	s, start, every := o.sender(dest), time.Now(), time.Second/time.Duration(o.rate)
	var b []byte
	for i := range total {
		time.Sleep(time.Until(start.Add(time.Duration(i) * every)))
		b = s.append(b[:0], i, time.Now())
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// receive notes the age of each message.
func receive(c *client, total int64, d time.Duration, waits *histogram) error {
	if err := c.SetReadDeadline(time.Now().Add(d + patience)); err != nil {
		return err
	}
	for range total {
		f, err := c.expect("MESSAGE")
		if err != nil {
			return err
		}
		at, err := stamped(f)
		if err != nil {
			return err
		}
		waits.add(time.Since(at))
	}
	return nil
}

func receipts(c *client, total int64, d time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(d + patience)); err != nil {
		return err
	}
	for range total {
		if _, err := c.expect("RECEIPT"); err != nil {
			return err
		}
	}
	return nil
}
