package mqttsn

import (
	"context"

	"sluice/pkg/gateway"
	"sluice/pkg/listen"
	"sluice/pkg/wire/mqttsn"
)

// Kind is MQTT-SN as the gateway knows it.
func Kind() gateway.Kind {
	var frames []string
	for t := mqttsn.Advertise; t <= mqttsn.WillMsgResp; t++ {
		if name := t.String(); name != "" {
			frames = append(frames, name)
		}
	}
	return gateway.Kind{
		Proto:      "mqttsn",
		Transports: []string{listen.UDP, listen.DTLS},
		Frames:     append(frames, mqttsn.Encapsulated.String()),
		Defaults:   func() gateway.Config { return DefaultConfig() },
		Development: `
allow_anonymous: true
listener.udp.default.bind: "127.0.0.1:1884"
`,
	}
}

// edge serves the devices of one instance. It does not change.
type edge struct {
	conf       Config
	predefined predefined
}

// Edge makes the instance's edge from a validated configuration.
func (c *Config) Edge() gateway.Edge { return gateway.Edge{Packets: c.edge()} }

func (c *Config) edge() *edge { return &edge{conf: *c, predefined: newPredefined(c.Predefined)} }

// ServePackets implements [gateway.PacketEdge].
func (e *edge) ServePackets(ctx context.Context, l *listen.Packets, door gateway.Door, env gateway.Env) {
	s := newServer(e, door, env)
	life := context.WithoutCancel(ctx)
	s.start(life)
	if e.conf.Broadcast.Enable {
		s.goroutines.Go(func() { s.advertise(s.life, l) })
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := l.Serve(life, handler{s}); err != nil {
			s.env.Log.Warn("listener ended", "error", err)
		}
	}()
	select {
	case <-ctx.Done():
	case <-served:
	}
	s.goodbye(farewell(context.Cause(ctx)))
	end, cancel := context.WithTimeout(life, shutdownTimeout)
	defer cancel()
	_ = l.Shutdown(end, context.Cause(ctx)) // what it says is that time is over
	<-served
	s.stop()
}

// handler hands what the listener has to the server.
type handler struct{ s *server }

// Packet implements [listen.PacketHandler].
func (h handler) Packet(p *listen.Peer, datagram []byte) { h.s.packet(p, datagram) }

// Gone implements [listen.PacketHandler].
func (h handler) Gone(p *listen.Peer, _ error) { h.s.gone(p) }
