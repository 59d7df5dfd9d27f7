package main

import (
	"fmt"
	"time"
)

// idle: clients that are connected and do nothing. The server should be fresh:
// one that has worked has memory to spare, and then clients seem to cost less.
func idle(o options) (result, error) {
	before, err := o.usage()
	if err != nil {
		return result{}, err
	}
	for i := range o.clients {
		c, err := o.dial(512)
		if err != nil {
			return result{}, fmt.Errorf("client %d: %w", i+1, err)
		}
		defer c.Close()
	}
	time.Sleep(o.seconds) // what connecting cost may be given back
	after, err := o.usage()
	return result{N: int64(o.clients), RSS: float64(after.rss-before.rss) / 1024 / float64(o.clients)}, err
}
