package mqttsn

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"sluice/pkg/gateway"
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/listen"
	"sluice/pkg/metrics"
	"sluice/pkg/wire/mqttsn"
	"sluice/tests/logs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a server with a test on both ends: the devices' by fake links, the
// door's by gatewaytest.
type rig struct {
	*testing.T
	door    *gatewaytest.Door
	conf    *Config
	srv     *server
	metrics *metrics.Metrics
	log     logs.Buffer
	stopped bool
}

// dialogue runs a test in virtual time.
func dialogue(t *testing.T, test func(*rig), options ...func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, door: &gatewaytest.Door{}, conf: DefaultConfig(), metrics: metrics.New("test")}
		for _, o := range options {
			o(r)
		}
		require.NoError(t, r.conf.Validate())
		log := slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		r.srv = newServer(r.conf.edge(), r.door, gateway.Env{Log: log, Metrics: r.metrics.Instance("mqttsn", "default", Kind().Frames...)})
		r.srv.start(context.WithoutCancel(t.Context()))
		defer r.stop()
		test(r)
	})
}

// stop is what ServePackets does at the end; nothing may be left then.
func (r *rig) stop() {
	if r.stopped {
		return
	}
	r.stopped = true
	r.srv.goodbye(gateway.ErrShutdown)
	r.srv.stop()
	require.Empty(r, r.srv.conns)
	require.Zero(r, r.srv.wheel.Len(), "timers are left")
	require.NotContains(r, r.log.String(), "panic")
}

// errors is how often something was counted as an error of a frame.
func (r *rig) errors(reason string) float64 {
	return r.metrics.Snapshot("mqttsn", "default")[`gw_frame_errors_total{reason="`+reason+`"}`]
}

func (r *rig) client() *gatewaytest.Client { return r.door.Client() }

// fakeLink stands for a peer of the listener.
type fakeLink struct {
	addr     string
	listener string
	identity listen.Identity
	node     []byte // the device is behind a forwarder
	got      chan mqttsn.Packet
	t        *testing.T

	mu     sync.Mutex
	value  any
	credit int
	proven bool
	closed bool
}

func (l *fakeLink) Send(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return listen.ErrGone
	case !l.proven && len(b) > l.credit:
		return listen.ErrUnproven
	}
	l.credit -= len(b)
	b = bytes.Clone(b)
	if l.t == nil { // a device that is only there to send
		return nil
	}
	if l.node != nil {
		f, inner, err := mqttsn.Unwrap(b)
		require.NoError(l.t, err)
		require.Equal(l.t, l.node, f.NodeID)
		b = inner
	}
	p, err := mqttsn.Decode(b)
	require.NoError(l.t, err)
	l.got <- p
	return nil
}

func (l *fakeLink) with(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *fakeLink) Prove()                    { l.with(func() { l.proven = true }) }
func (l *fakeLink) Close()                    { l.with(func() { l.closed = true }) }
func (l *fakeLink) String() string            { return l.addr }
func (l *fakeLink) Listener() string          { return l.listener }
func (l *fakeLink) Identity() listen.Identity { return l.identity }
func (l *fakeLink) SetValue(v any)            { l.with(func() { l.value = v }) }
func (l *fakeLink) Value() (v any)            { l.with(func() { v = l.value }); return v }
func (l *fakeLink) isClosed() (yes bool)      { l.with(func() { yes = l.closed }); return yes }

// device is the other end: an address with a socket.
type device struct {
	*rig
	link *fakeLink
	got  chan mqttsn.Packet
}

func (r *rig) device(addr string) *device {
	d := &device{rig: r, got: make(chan mqttsn.Packet, 4096)}
	d.link = &fakeLink{addr: addr, listener: "udp:default", got: d.got, t: r.T}
	return d
}

// raw sends a datagram; a listener that has forgotten a peer makes another.
func (d *device) raw(b []byte) {
	if d.link.isClosed() {
		d.link = &fakeLink{addr: d.link.addr, listener: d.link.listener, identity: d.link.identity, node: d.link.node, got: d.got, t: d.T}
	}
	d.link.with(func() { d.link.credit += len(b) })
	b = bytes.Clone(b)
	d.srv.packet(d.link, b)
	for i := range b { // it is valid until packet returns
		b[i] = 0xEE
	}
}

func (d *device) say(p mqttsn.Packet) {
	d.Helper()
	synctest.Wait() // a device does not answer faster than the server is done
	b, err := p.Append(nil)
	require.NoError(d, err)
	if d.link.node != nil {
		wrapped, err := mqttsn.Forward{NodeID: d.link.node}.Append(nil)
		require.NoError(d, err)
		b = append(wrapped, b...)
	}
	d.raw(b)
}

// next is the next packet from the server.
func (d *device) next() mqttsn.Packet {
	d.Helper()
	select {
	case p := <-d.got:
		return p
	case <-time.After(24 * time.Hour):
		require.Fail(d, "no packet comes")
	}
	return mqttsn.Packet{}
}

func (d *device) nothing() {
	d.Helper()
	synctest.Wait()
	select {
	case p := <-d.got:
		require.Fail(d, "unexpected", "%s %+v", p.Type, p)
	default:
	}
}

// expect wants a packet like that next. Fields that the test leaves out do not
// count but for return code and flags.
func (d *device) expect(want mqttsn.Packet) mqttsn.Packet {
	d.Helper()
	p := d.next()
	require.Equal(d, want.Type.String(), p.Type.String(), "%+v", p)
	require.Equal(d, want.ReturnCode, p.ReturnCode, "return code of %s", p.Type)
	require.Equal(d, want.Flags, p.Flags, "flags of %s", p.Type)
	if want.MsgID != 0 {
		require.Equal(d, want.MsgID, p.MsgID)
	}
	if want.TopicID != 0 {
		require.Equal(d, want.TopicID, p.TopicID)
	}
	if len(want.Name) > 0 {
		require.Equal(d, string(want.Name), string(p.Name))
	}
	if len(want.Data) > 0 {
		require.Equal(d, string(want.Data), string(p.Data))
	}
	return p
}

func (d *device) only(t mqttsn.Type) { d.Helper(); d.expect(mqttsn.Packet{Type: t}) }

func connectPacket(id string, clean bool, keepalive uint16) mqttsn.Packet {
	return mqttsn.Packet{Type: mqttsn.Connect, ProtocolID: 1, Name: []byte(id), Duration: keepalive, Flags: mqttsn.Flags{Clean: clean}}
}

// connect lets a device in.
func (d *device) connect(id string, clean bool) *gatewaytest.Client {
	d.Helper()
	d.say(connectPacket(id, clean, 60))
	d.expect(mqttsn.Packet{Type: mqttsn.Connack})
	return d.client()
}

// register is a topic's id.
func (d *device) register(name string) uint16 {
	d.Helper()
	d.say(mqttsn.Packet{Type: mqttsn.Register, MsgID: 77, Name: []byte(name)})
	return d.expect(mqttsn.Packet{Type: mqttsn.Regack, MsgID: 77}).TopicID
}

// subscribe is the topic id of SUBACK.
func (d *device) subscribe(filter string, qos int8) uint16 {
	d.Helper()
	d.say(mqttsn.Packet{Type: mqttsn.Subscribe, MsgID: 88, Name: []byte(filter), Flags: mqttsn.Flags{QoS: qos}})
	return d.expect(mqttsn.Packet{Type: mqttsn.Suback, MsgID: 88, Flags: mqttsn.Flags{QoS: qos}}).TopicID
}

func publishPacket(topicID, msgID uint16, qos int8, payload string) mqttsn.Packet {
	return mqttsn.Packet{Type: mqttsn.Publish, TopicID: topicID, MsgID: msgID, Flags: mqttsn.Flags{QoS: qos}, Data: []byte(payload)}
}

func ackPacket(t mqttsn.Type, msgID uint16) mqttsn.Packet {
	return mqttsn.Packet{Type: t, MsgID: msgID}
}

func puback(topicID, msgID uint16, rc mqttsn.ReturnCode) mqttsn.Packet {
	return mqttsn.Packet{Type: mqttsn.Puback, TopicID: topicID, MsgID: msgID, ReturnCode: rc}
}

func dup(p mqttsn.Packet) mqttsn.Packet { p.Flags.DUP = true; return p }

// message is one of the house with a quality of service.
func message(body string, qos byte) *gateway.Inbound {
	return &gateway.Inbound{Payload: []byte(body), QoS: qos}
}

func (r *rig) closed(c *gatewaytest.Client, why error) {
	r.Helper()
	synctest.Wait()
	calls, reason := c.Closed()
	require.Equal(r, 1, calls, "the client is closed once")
	require.ErrorIs(r, reason, why)
}

func (r *rig) open(c *gatewaytest.Client) {
	r.Helper()
	synctest.Wait()
	calls, reason := c.Closed()
	require.Zero(r, calls, "%v", reason)
}

func (r *rig) outcome(o *gatewaytest.Outcome, calls int, want error) {
	r.Helper()
	synctest.Wait()
	n, err := o.Result()
	require.Equal(r, calls, n, "calls of Done")
	require.ErrorIs(r, err, want)
}

func (r *rig) topics(c *gatewaytest.Client) (out []string) {
	synctest.Wait()
	for _, m := range c.Published() {
		out = append(out, fmt.Sprintf("%s %s", m.Topic, m.Payload))
	}
	return out
}
