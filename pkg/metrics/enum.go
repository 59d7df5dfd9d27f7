package metrics

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	other   = "other"
	fixed   = 0  // no value but the known ones
	dynamic = 16 // values that are met and were not known
)

// enum is a counter for each value of the last label of a family. Reading is an
// atomic load and a look into a small map that never changes; a value that is
// not known replaces the map, as long as there is room for more.
type enum struct {
	known atomic.Pointer[map[string]prometheus.Counter]

	mu    sync.Mutex // of additions
	vec   *prometheus.CounterVec
	first []string // the labels before
	limit int      // of all values
}

// newEnum makes the series of the values, and of "other".
func newEnum(vec *prometheus.CounterVec, first []string, more int, values ...string) *enum {
	e := &enum{vec: vec, first: first}
	all := map[string]prometheus.Counter{other: e.series(other)}
	for _, v := range values {
		all[v] = e.series(v)
	}
	e.limit = len(all) + more
	e.known.Store(&all)
	return e
}

func (e *enum) series(value string) prometheus.Counter {
	return e.vec.WithLabelValues(append(slices.Clone(e.first), value)...)
}

func (e *enum) get(value string) prometheus.Counter {
	all := *e.known.Load()
	if c, ok := all[value]; ok {
		return c
	}
	if len(all) >= e.limit {
		return all[other]
	}
	return e.add(value)
}

func (e *enum) add(value string) prometheus.Counter {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := *e.known.Load()
	if c, ok := all[value]; ok {
		return c
	}
	if len(all) >= e.limit {
		return all[other]
	}
	all = maps.Clone(all)
	all[value] = e.series(value)
	e.known.Store(&all)
	return all[value]
}
