package gateway

import (
	"context"
	"log/slog"

	"sluice/pkg/config"
	"sluice/pkg/listen"
	"sluice/pkg/metrics"
)

// Kind is one protocol as the gateway knows it. cmd/sluice has the list.
type Kind struct {
	Proto      string   // "stomp"
	Transports []string // listener types it can serve: tcp, tls, ws, wss
	Frames     []string // frame types, for metrics
	// Defaults is a new configuration with all defaults, for decoding into and
	// for default-config.
	Defaults func() Config
}

// Config is an edge's configuration: its own keys beside the common ones, which
// it gets by embedding [InstanceConfig].
type Config interface {
	Common() *InstanceConfig
	Validate() error
	// Edge makes the instance's edge from a validated configuration.
	Edge() Edge
}

// Edge serves the connections of one instance. Serve owns the connection and
// returns when it has closed it; ctx ends when the node wants the device to go,
// with the reason as its cause.
type Edge interface {
	Serve(ctx context.Context, c *listen.Conn, door Door, env Env)
}

// Env is what an instance gives its edge for one connection.
type Env struct {
	Log     *slog.Logger
	Metrics *metrics.Instance
}

// Decode reads the configuration of one instance of this kind strictly and
// validates it.
func (k Kind) Decode(n *config.Node) (Config, error) {
	c := k.Defaults()
	if err := config.Decode(n, c); err != nil {
		return nil, err
	}
	return c, c.Common().check(k)
}
