package stomp

import (
	"context"
	"net"

	"sluice/pkg/gateway"
	"sluice/pkg/listen"
	"sluice/pkg/wire/stomp"
)

// Kind is STOMP as the gateway knows it.
func Kind() gateway.Kind {
	return gateway.Kind{
		Proto:      "stomp",
		Transports: []string{"tcp", "tls", "ws", "wss"},
		Frames: []string{
			stomp.CmdConnect, stomp.CmdStomp, stomp.CmdConnected, stomp.CmdSend, stomp.CmdMessage,
			stomp.CmdSubscribe, stomp.CmdUnsubscribe, stomp.CmdAck, stomp.CmdNack, stomp.CmdBegin,
			stomp.CmdCommit, stomp.CmdAbort, stomp.CmdDisconnect, stomp.CmdReceipt, stomp.CmdError, heartBeat,
		},
		Subprotocols: []string{"v12.stomp", "v11.stomp", "v10.stomp"},
		Defaults:     func() gateway.Config { return DefaultConfig() },
		Development: `
allow_anonymous: true
listener.tcp.default.bind: "127.0.0.1:61613"
listener.ws.default.bind: "127.0.0.1:61614"
`,
	}
}

// edge serves the connections of one instance. It does not change.
type edge struct {
	conf    Config
	limits  stomp.Limits
	buffers *buffers
}

// Edge makes the instance's edge from a validated configuration.
func (c *Config) Edge() gateway.Edge {
	return gateway.Edge{Stream: &edge{
		conf: *c,
		limits: stomp.Limits{
			MaxHeaders:      c.Frame.MaxHeaders,
			MaxHeaderLength: c.Frame.MaxHeaderLength,
			MaxBodyLength:   int(c.Frame.MaxBodyLength),
		},
		buffers: newBuffers(),
	}}
}

// peer is what the listener knows of the other side.
type peer struct {
	addr   string // ip:port
	certCN string
}

// Serve speaks STOMP on a connection until it ends, and closes it.
func (e *edge) Serve(ctx context.Context, c *listen.Conn, door gateway.Door, env gateway.Env) {
	e.serve(ctx, c, peer{addr: c.RemoteAddr().String(), certCN: c.CertCN}, door, env)
}

func (e *edge) serve(ctx context.Context, nc net.Conn, p peer, door gateway.Door, env gateway.Env) {
	c := newConn(e, nc, p, door, env)
	stop := context.AfterFunc(ctx, c.out.hurry)
	defer stop()
	why := errPanic // the reason if run does not return; the listener's guard gets the panic
	defer func() { c.finish(ctx, why) }()
	why = c.run(ctx)
}
