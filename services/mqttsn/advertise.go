package mqttsn

import (
	"context"
	"net"
	"time"

	"sluice/pkg/wire/mqttsn"
)

// announcer sends to everybody, from where the listener is.
type announcer interface {
	Broadcast(to *net.UDPAddr, b []byte) error
}

// advertise makes the gateway known every T_ADV (MQTT-SN 1.2 §6.1), until ctx
// ends.
func (s *server) advertise(ctx context.Context, l announcer) {
	conf := &s.edge.conf.Broadcast
	p := mqttsn.Packet{Type: mqttsn.Advertise, GwID: uint8(s.edge.conf.GatewayID), Duration: uint16(conf.Interval / time.Second)}
	b, err := p.Append(nil)
	to, bad := net.ResolveUDPAddr("udp", conf.Address)
	if err != nil || bad != nil { // Validate has looked at both
		s.env.Log.Error("ADVERTISE", "to", conf.Address, "error", err, "address", bad)
		return
	}
	every := time.NewTicker(conf.Interval)
	defer every.Stop()
	for {
		if err := l.Broadcast(to, b); err != nil {
			s.env.Log.Warn("ADVERTISE not sent", "to", conf.Address, "error", err)
		} else {
			s.env.Metrics.FrameOut(p.Type.String())
			s.env.Metrics.BytesOut(len(b))
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}
