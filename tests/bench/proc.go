package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const tick = 10 * time.Millisecond // of /proc/PID/stat: USER_HZ is 100 on Linux

// cpu is user and system time of the server's processes.
func (o options) cpu() (time.Duration, error) {
	var total time.Duration
	for _, pid := range o.pids {
		b, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return 0, err
		}
		// The name in parentheses may have blanks; utime and stime are 14 and 15.
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		for _, i := range []int{11, 12} {
			n, err := strconv.ParseInt(f[i], 10, 64)
			if err != nil {
				return 0, err
			}
			total += time.Duration(n) * tick
		}
	}
	return total, nil
}

// rss is the resident memory of the server's processes in KB.
func (o options) rss() (kb int64, err error) {
	for _, pid := range o.pids {
		b, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			return 0, err
		}
		_, rest, ok := strings.Cut(string(b), "VmRSS:")
		if !ok {
			return 0, fmt.Errorf("no VmRSS of %s", pid)
		}
		n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		if err != nil {
			return 0, err
		}
		kb += n
	}
	return kb, nil
}

// measured runs load and fills in rate and CPU time.
func (o options) measured(load func() (int64, error)) (r result, err error) {
	before, err := o.cpu()
	if err != nil {
		return r, err
	}
	start := time.Now()
	n, err := load()
	took := time.Since(start)
	if err != nil || n == 0 {
		return r, fmt.Errorf("nothing measured: %w", err)
	}
	after, err := o.cpu()
	r.N, r.PerSec = n, float64(n)/took.Seconds()
	r.CPU = float64((after - before).Microseconds()) / float64(n)
	return r, err
}
