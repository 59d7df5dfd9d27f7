package stomp

import (
	"errors"
	"fmt"
	"time"

	"sluice/pkg/config"
	"sluice/pkg/gateway"
)

// Config is the configuration of a STOMP instance.
type Config struct {
	gateway.InstanceConfig

	Frame        Frame         `conf:"frame"`
	Transaction  Transaction   `conf:"transaction"`
	HeartBeat    HeartBeat     `conf:"heart_beat"`
	WriteTimeout time.Duration `conf:"write_timeout" doc:"a device that takes no bytes for so long is cut off"`
	RequireHost  bool          `conf:"require_host" doc:"refuse a CONNECT of 1.1 or 1.2 without host header, as the specification asks"`
}

// Frame limits what a device may send in one frame.
type Frame struct {
	MaxHeaders      int         `conf:"max_headers" doc:"headers of one frame"`
	MaxHeaderLength int         `conf:"max_header_length,max_headers_length" doc:"bytes of one header, name and value"`
	MaxBodyLength   config.Size `conf:"max_body_length" doc:"bytes of a body"`
}

// Transaction limits what a device may hold in transactions.
type Transaction struct {
	MaxOpen   int           `conf:"max_open" doc:"open transactions of one connection"`
	MaxFrames int           `conf:"max_frames" doc:"SEND, ACK and NACK frames of one transaction; at most 1000"`
	MaxBytes  config.Size   `conf:"max_bytes" doc:"bytes of one transaction"`
	Timeout   time.Duration `conf:"timeout" doc:"from BEGIN to COMMIT"`
}

// HeartBeat is the server's side of the negotiation: the larger of what one
// side can and the other wants decides. A device that says 0 gets none.
type HeartBeat struct {
	Send time.Duration `conf:"send" doc:"the shortest interval at which the server sends something; 0 = never"`
	Want time.Duration `conf:"want" doc:"the shortest interval at which the server expects something; 0 = never"`
}

// DefaultConfig is a new configuration with all defaults.
func DefaultConfig() *Config {
	return &Config{
		InstanceConfig: gateway.DefaultInstance(),
		Frame:          Frame{MaxHeaders: 10, MaxHeaderLength: 1024, MaxBodyLength: 8192},
		Transaction:    Transaction{MaxOpen: 16, MaxFrames: 256, MaxBytes: 1 << 20, Timeout: time.Minute},
		HeartBeat:      HeartBeat{Send: 10 * time.Second, Want: 10 * time.Second},
		WriteTimeout:   15 * time.Second,
	}
}

const (
	maxBatch     = 1000                   // what JetStream takes in one atomic batch
	minHeartBeat = 100 * time.Millisecond // below it heart-beats are a load, not a sign of life
)

// Validate implements [gateway.Config].
func (c *Config) Validate() error {
	var errs []error
	within := func(key string, v, low, high int64) {
		if v < low || v > high {
			errs = append(errs, fmt.Errorf("%s: must be from %d to %d", key, low, high))
		}
	}
	within("frame.max_headers", int64(c.Frame.MaxHeaders), 1, 10_000)
	within("frame.max_header_length", int64(c.Frame.MaxHeaderLength), 16, 1<<20)
	within("frame.max_body_length", int64(c.Frame.MaxBodyLength), 1, 64<<20)
	within("transaction.max_open", int64(c.Transaction.MaxOpen), 1, 1000)
	within("transaction.max_frames", int64(c.Transaction.MaxFrames), 1, maxBatch)
	within("transaction.max_bytes", int64(c.Transaction.MaxBytes), 1, 64<<20)
	errs = append(errs,
		atLeast("transaction.timeout", c.Transaction.Timeout, time.Second, false),
		atLeast("heart_beat.send", c.HeartBeat.Send, minHeartBeat, true),
		atLeast("heart_beat.want", c.HeartBeat.Want, minHeartBeat, true),
		atLeast("write_timeout", c.WriteTimeout, 100*time.Millisecond, false))
	return errors.Join(errs...)
}

func atLeast(key string, d, low time.Duration, orZero bool) error {
	switch {
	case d >= low, orZero && d == 0:
		return nil
	case orZero:
		return fmt.Errorf("%s: must be 0 or at least %s", key, low)
	}
	return fmt.Errorf("%s: must be at least %s", key, low)
}
