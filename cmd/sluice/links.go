package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"sluice/pkg/metrics"
)

// links are the process's connections to NATS, one for each service that runs
// in it. Together they are the state that operators see.
type links struct {
	metrics *metrics.Metrics

	mu sync.Mutex
	up map[string]bool // by service
}

// follow gives the callback that keeps the state of one connection.
func (l *links) follow(service string) func(connected bool) {
	return func(connected bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.up == nil {
			l.up = map[string]bool{}
		}
		l.up[service] = connected
		down := slices.Contains(slices.Collect(maps.Values(l.up)), false)
		l.metrics.NATSConnected(!down)
	}
}

// check tells which services have lost NATS.
func (l *links) check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, service := range slices.Sorted(maps.Keys(l.up)) {
		if !l.up[service] {
			errs = append(errs, fmt.Errorf("%s: not connected to NATS", service))
		}
	}
	return errors.Join(errs...)
}
