package mqttsn_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/listen"
	"sluice/pkg/sim"
	wire "sluice/pkg/wire/mqttsn"
	"sluice/services/mqttsn"
	"sluice/tests/conform"
)

func TestConformClean(t *testing.T)   { conform.Run(t, suite(true)) }
func TestConformSession(t *testing.T) { conform.Run(t, suite(false)) }

func suite(clean bool) conform.Suite {
	logins := &logins{}
	kind := mqttsn.Kind()
	kind.Defaults = func() gateway.Config { return &config{*mqttsn.DefaultConfig(), logins} }
	return conform.Suite{
		Kind:    kind,
		Conf:    `listener.udp.default.bind: "127.0.0.1:0"` + "\n" + `retx_interval: "3s"` + "\n" + `queue_window: 32`,
		Network: "udp",
		Dial: func(ctx context.Context, addr string, l conform.Login) (conform.Device, error) {
			return dial(ctx, addr, l, logins.add(l), clean)
		},
		Can: conform.Capabilities{ClientID: true, Wildcards: true, Durable: !clean, Keepalive: true},
		EarlyPublish: func(topic, payload string) []byte {
			return packet(wire.Packet{Type: wire.Publish, Flags: wire.Flags{QoS: 1}, TopicID: 1025, MsgID: 1, Data: []byte(payload)})
		},
		EarlySubscribe: func(filter string) []byte {
			return packet(wire.Packet{Type: wire.Subscribe, MsgID: 1, Name: []byte(filter)})
		},
		Garbage: [][]byte{
			{}, {0}, {1}, {2}, {0, 0}, {1, 0, 0}, {2, 3}, {3, 0xFF, 0}, {4, 4, 4}, {0xFF, 4},
			[]byte("GET / HTTP/1.1\r\n\r\n"), {6, 4, 4, 1, 0, 10}, {5, 0xFE, 0, 1, 2}, {3, 0xFE, 0, 4, 0xFE, 0, 1, 2, 0x16},
		},
		Oversize:  packet(wire.Packet{Type: wire.Publish, Flags: wire.Flags{QoS: 1, TopicIDType: wire.Short}, Name: []byte("tt"), MsgID: 9, Data: make([]byte, 9000)}),
		Keepalive: time.Second,
		Grace:     1.5,
	}
}

func packet(p wire.Packet) []byte {
	b, err := p.Append(nil)
	if err != nil {
		panic(err)
	}
	return b
}

// config is that of the edge, with logins: MQTT-SN has neither user nor password,
// so the suite's travel as a part of the client id and are taken off before the
// door.
type config struct {
	mqttsn.Config
	logins *logins
}

func (c *config) Edge() gateway.Edge {
	return gateway.Edge{Packets: withLogins{c.Config.Edge().Packets, c.logins}}
}

type withLogins struct {
	gateway.PacketEdge
	logins *logins
}

func (w withLogins) ServePackets(ctx context.Context, l *listen.Packets, d gateway.Door, env gateway.Env) {
	w.PacketEdge.ServePackets(ctx, l, loginDoor{d, w.logins}, env)
}

type loginDoor struct {
	gateway.Door
	logins *logins
}

func (d loginDoor) Connect(ctx context.Context, h gateway.Hello) (gateway.Client, error) {
	l, ok := d.logins.get(h.ClientID)
	if !ok {
		return nil, api.Errorf(api.Denied, "connect", "no such login")
	}
	h.ClientID, h.Username, h.Password = l.ClientID, l.Username, api.Password(l.Password)
	return d.Door.Connect(ctx, h)
}

type logins struct {
	mu  sync.Mutex
	all []conform.Login
}

func (l *logins) add(x conform.Login) (id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, known := range l.all {
		if known == x {
			return x.ClientID + "~" + strconv.Itoa(i)
		}
	}
	l.all = append(l.all, x)
	return x.ClientID + "~" + strconv.Itoa(len(l.all)-1)
}

func (l *logins) get(id string) (conform.Login, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, err := strconv.Atoi(id[strings.LastIndexByte(id, '~')+1:])
	if err != nil || i >= len(l.all) {
		return conform.Login{}, false
	}
	return l.all[i], true
}

// device is sim.MQTTSN as the suite knows devices.
type device struct {
	*sim.MQTTSN
	gate *conform.Gate
}

func dial(ctx context.Context, addr string, l conform.Login, id string, clean bool) (conform.Device, error) {
	d := &device{}
	var err error
	d.MQTTSN, err = sim.DialMQTTSN(ctx, sim.MQTTSNOptions{
		ClientID: id, Clean: clean, Keepalive: uint16(l.Keepalive / time.Second), Retry: time.Second, Retries: 15,
		Dial: func(ctx context.Context) (c net.Conn, err error) {
			d.gate, err = conform.DialGate(ctx, "udp", addr)
			return d.gate, err
		},
	})
	if err != nil {
		return nil, said(err)
	}
	return d, nil
}

// said is an error as the suite wants it.
func said(err error) error {
	if r, ok := errors.AsType[*sim.MQTTSNError](err); ok {
		return &conform.Refused{Later: r.Later(), Text: r.Error()}
	}
	if errors.Is(err, sim.ErrSentAway) {
		return &conform.Refused{Later: true, Text: err.Error()} // DISCONNECT has no reason: a device connects again
	}
	return err
}

func (d *device) Publish(ctx context.Context, p conform.Publication) error {
	return said(d.MQTTSN.Publish(ctx, p.Topic, []byte(p.Payload), 1, false))
}

func (d *device) Subscribe(ctx context.Context, s conform.Subscription) error {
	_, err := d.MQTTSN.Subscribe(ctx, s.Filter, 1)
	return said(err)
}

func (d *device) Next(ctx context.Context) (conform.Received, error) {
	m, err := d.MQTTSN.Next(ctx)
	if err != nil {
		return conform.Received{}, said(err)
	}
	return conform.Received{
		Topic: m.Topic, Payload: string(m.Payload), Again: m.DUP,
		Ack: func(ctx context.Context) error { // PUBACK has no answer, but PINGREQ behind it has
			d.Acknowledge(m)
			return said(d.Ping(ctx))
		},
	}, nil
}

func (d *device) Write(b []byte) error { _, err := d.gate.Write(b); return err }

func (d *device) Deaf(yes bool) { d.gate.Deaf(yes) }

func (d *device) Close(ctx context.Context) error { return said(d.MQTTSN.Close(ctx)) }

func (d *device) Err() error { return said(d.MQTTSN.Err()) }
