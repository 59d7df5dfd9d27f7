package jt808

import (
	"context"
	"fmt"
	"net"

	"sluice/pkg/gateway"
	"sluice/pkg/listen"
	"sluice/pkg/wire/jt808"
)

// Kind is JT/T 808 as the gateway knows it.
func Kind() gateway.Kind {
	var frames []string
	for _, m := range jt808.Messages() {
		frames = append(frames, name(m.ID))
	}
	return gateway.Kind{
		Proto:      "jt808",
		Transports: []string{"tcp", "tls"},
		Frames:     append(frames, other),
		Defaults:   func() gateway.Config { return DefaultConfig() },
		Development: `
allow_anonymous: true
listener.tcp.default.bind: "127.0.0.1:6207"
`,
	}
}

// other is the name of messages that the standard has not.
const other = "other"

// name is that of a message in metrics.
func name(id uint16) string { return fmt.Sprintf("0x%04X", id) }

// edge serves the connections of one instance. It does not change.
type edge struct{ conf Config }

// Edge makes the instance's edge from a validated configuration.
func (c *Config) Edge() gateway.Edge { return gateway.Edge{Stream: &edge{*c}} }

// peer is what the listener knows of the other side.
type peer struct {
	addr   string // ip:port
	certCN string
}

// Serve speaks JT/T 808 on a connection until it ends, and closes it.
func (e *edge) Serve(ctx context.Context, c *listen.Conn, door gateway.Door, env gateway.Env) {
	e.serve(ctx, c, peer{addr: c.RemoteAddr().String(), certCN: c.CertCN}, door, env)
}

func (e *edge) serve(ctx context.Context, nc net.Conn, p peer, door gateway.Door, env gateway.Env) {
	c := newConn(e, nc, p, door, env)
	why := errPanic // the reason if run does not return; the listener's guard gets the panic
	defer func() { c.finish(ctx, why) }()
	why = c.run(ctx)
}
