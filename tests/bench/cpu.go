package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const tick = 10 * time.Millisecond // of /proc/PID/stat: USER_HZ is 100 on Linux

// stat is what is used of /proc/PID/stat.
type stat struct {
	parent string
	cpu    time.Duration // user and system
	rss    int64         // bytes
}

func readStat(pid string) (s stat, err error) {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return s, err
	}
	// The name in parentheses may have blanks. The state is field 3, ppid 4,
	// utime and stime 14 and 15, rss in pages 24.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 22 {
		return s, fmt.Errorf("/proc/%s/stat has %d fields", pid, len(f))
	}
	var n [3]int64
	for i, at := range []int{11, 12, 21} {
		if n[i], err = strconv.ParseInt(f[at], 10, 64); err != nil {
			return s, err
		}
	}
	return stat{f[1], time.Duration(n[0]+n[1]) * tick, n[2] * int64(os.Getpagesize())}, nil
}

// usage is of the server's processes and all below them: RabbitMQ's own is a
// child of the script that starts it.
func (o options) usage() (total stat, err error) {
	for _, pid := range o.pids {
		if _, err := readStat(pid); err != nil {
			return total, fmt.Errorf("-pid: %w", err)
		}
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return total, err
	}
	all := map[string]stat{}
	for _, d := range dirs {
		if s, err := readStat(filepath.Base(d)); err == nil { // others come and go
			all[filepath.Base(d)] = s
		}
	}
	for pid, s := range all {
		for p := pid; p != ""; p = all[p].parent {
			if slices.Contains(o.pids, p) {
				total.cpu += s.cpu
				total.rss += s.rss
				break
			}
		}
	}
	return total, nil
}

// machine is the CPU time of all that runs on this machine, and that of its
// cores, busy or not.
func machine() (busy, total time.Duration, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal, then parts of user
	if len(f) < 9 {
		return 0, 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	for i, text := range f[1:9] {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		total += time.Duration(n) * tick
		if i != 3 && i != 4 {
			busy += time.Duration(n) * tick
		}
	}
	return busy, total, nil
}

// own is the CPU time of this program.
func own() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measured runs a load and fills in rate and CPU time. What is to be there
// before, such as connections, must not be in load.
func (o options) measured(load func() (int64, error)) (r result, err error) {
	before, err := o.usage()
	if err != nil {
		return r, err
	}
	busy, total, err := machine()
	if err != nil {
		return r, err
	}
	mine, start := own(), time.Now()
	n, err := load()
	took := time.Since(start)
	mine = own() - mine
	if err != nil {
		return r, err
	}
	if n == 0 {
		return r, fmt.Errorf("nothing happened in %v", took)
	}
	after, err := o.usage()
	if err != nil {
		return r, err
	}
	busy2, total2, err := machine()
	if others := busy2 - busy - (after.cpu - before.cpu) - mine; others > 0 && total2 > total {
		r.Others = 100 * float64(others) / float64(total2-total)
	}
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(n) }
	r.N, r.PerSec, r.CPU, r.Generator = n, float64(n)/took.Seconds(), each(after.cpu-before.cpu), each(mine)
	return r, err
}
