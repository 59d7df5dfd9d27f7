package stomp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

var _ gateway.Config = (*Config)(nil)

func TestDefaultConfigIsValid(t *testing.T) {
	c := Kind().Defaults().(*Config)
	require.NoError(t, c.Validate())
	require.Equal(t, stomp.Limits{MaxHeaders: 10, MaxHeaderLength: 1024, MaxBodyLength: 8192}, c.Edge().Stream.(*edge).limits)
	require.NotSame(t, c, Kind().Defaults(), "each instance has its own")
}

func TestConfigRefused(t *testing.T) {
	for key, change := range map[string]func(*Config){
		"frame.max_headers":       func(c *Config) { c.Frame.MaxHeaders = 0 },
		"frame.max_header_length": func(c *Config) { c.Frame.MaxHeaderLength = 1 },
		"frame.max_body_length":   func(c *Config) { c.Frame.MaxBodyLength = 1 << 40 },
		"transaction.max_open":    func(c *Config) { c.Transaction.MaxOpen = 0 },
		"transaction.max_frames":  func(c *Config) { c.Transaction.MaxFrames = 1001 },
		"transaction.max_bytes":   func(c *Config) { c.Transaction.MaxBytes = 0 },
		"transaction.timeout":     func(c *Config) { c.Transaction.Timeout = 0 },
		"heart_beat.send":         func(c *Config) { c.HeartBeat.Send = time.Millisecond },
		"heart_beat.want":         func(c *Config) { c.HeartBeat.Want = -time.Second },
		"write_timeout":           func(c *Config) { c.WriteTimeout = 0 },
	} {
		c := DefaultConfig()
		change(c)
		require.ErrorContains(t, c.Validate(), key+":")
	}
}
