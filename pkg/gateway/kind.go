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
	Transports []string // listener types it can serve: tcp, tls, ws, wss, udp, dtls
	Frames     []string // frame types, for metrics
	// Subprotocols are offered to WebSocket clients where a listener names none.
	Subprotocols []string
	// Defaults is a new configuration with all defaults, for decoding into and
	// for default-config.
	Defaults func() Config
	// Development is the configuration of the instance that runs without a file:
	// on loopback, with anonymous devices.
	Development string
}

// Config is an edge's configuration: its own keys beside the common ones, which
// it gets by embedding [InstanceConfig].
type Config interface {
	Common() *InstanceConfig
	Validate() error
	// Edge makes the instance's edge from a validated configuration.
	Edge() Edge
}

// Edge serves the devices of one instance: over streams, datagrams, or both, as
// the transports of its kind say.
type Edge struct {
	Stream  StreamEdge
	Packets PacketEdge
}

// StreamEdge serves connections. Serve owns the connection and returns when it
// has closed it; ctx ends when the node wants the device to go, with the reason
// as its cause.
type StreamEdge interface {
	Serve(ctx context.Context, c *listen.Conn, door Door, env Env)
}

// PacketEdge serves the datagrams of one listener. ServePackets has l.Serve run,
// and returns when it has; when ctx ends, with the reason as its cause, it says
// goodbye to all devices, closes their clients, and shuts l down.
type PacketEdge interface {
	ServePackets(ctx context.Context, l *listen.Packets, door Door, env Env)
}

// Env is what an instance gives its edge.
type Env struct {
	Log     *slog.Logger
	Metrics *metrics.Instance
	Version string // of the program, for greetings
}

// Decode reads the configuration of one instance of this kind strictly and
// validates it.
func (k Kind) Decode(n *config.Node) (Config, error) {
	c := k.Defaults()
	if err := config.Decode(n, c); err != nil {
		return nil, err
	}
	k.offerSubprotocols(c.Common())
	return c, n.Wrap(c.Common().check(k))
}

// Named tells "stomp { default { ... } }" from the seed's "stomp { ... }", whose
// instance is named default: no instance has the name of a key.
func (k Kind) Named(block *config.Node) bool {
	names := block.Children()
	for _, c := range names {
		if !c.IsBlock() || config.HasKey(k.Defaults(), c.Name()) {
			return false
		}
	}
	return len(names) > 0
}

func (k Kind) offerSubprotocols(c *InstanceConfig) {
	for _, named := range c.Listener {
		for name, l := range named {
			if len(l.WebSocket.Subprotocols) == 0 {
				l.WebSocket.Subprotocols = k.Subprotocols
				named[name] = l
			}
		}
	}
}
