package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The Go runtime keeps up to as much memory again as is in use: after many devices
// have connected that is a third of what the process has, for good. A process
// that has little to do gives it back.
const (
	quietEvery = 10 * time.Second
	quietRate  = 4 << 20  // bytes allocated a second; below, the process is quiet
	worthwhile = 16 << 20 // bytes allocated since the last time
)

// returnMemory works until ctx ends.
func returnMemory(ctx context.Context) error {
	tick := time.NewTicker(quietEvery)
	defer tick.Stop()
	m := memory{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if m.worthReturning(allocated(), quietEvery) {
				debug.FreeOSMemory()
			}
		}
	}
}

// memory is what was allocated when it was looked at, and when some was returned.
type memory struct{ last, returned uint64 }

// worthReturning tells whether little was allocated since the last look, and
// enough since memory was returned.
func (m *memory) worthReturning(total uint64, since time.Duration) bool {
	quiet := total-m.last < uint64(quietRate*since.Seconds())
	m.last = total
	if !quiet || total-m.returned < worthwhile {
		return false
	}
	m.returned = total
	return true
}

// allocated is the number of bytes that were ever allocated.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
