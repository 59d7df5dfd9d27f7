package jt808

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/config"
	"sluice/pkg/gateway"
	"sluice/pkg/metrics"
	"sluice/pkg/natsx"
	"sluice/pkg/wire/jt808"
	"sluice/services/session"
	"sluice/streams"
)

const patience = 20 * time.Second

// TestConform has terminals on a real house: NATS, session service, door.
func TestConform(t *testing.T) {
	h := newHouse(t)
	t.Run("an answered location is stored, as it came", func(t *testing.T) {
		d := h.dial(t, "13911111111")
		d.enter()
		wire := d.report(3, location(9))
		require.Equal(t, wire, h.last(t, "13911111111"))
	})
	t.Run("a newer connection takes over", func(t *testing.T) {
		first, second := h.dial(t, "13922222222"), h.dial(t, "13922222222")
		first.enter()
		second.enter()
		_, err := first.read()
		require.Error(t, err, "the older one is closed")
		second.report(3, location(1))
	})
	t.Run("a command waits for the terminal's own answer, over connections", func(t *testing.T) {
		key := api.ClientKey{Proto: "jt808", Instance: "default", Client: "13933333333"}
		d := h.dial(t, key.Client)
		d.enter()
		_, err := h.js.PublishMsg(t.Context(), &nats.Msg{
			Subject: key.QueueSubject(api.MainQueue), Header: nats.Header{nats.MsgIdHdr: {"1"}},
			Data: []byte(`{"header":{"msg_id":33536},"body":{"flag":1,"text":"hello"}}`),
		})
		require.NoError(t, err)
		require.Equal(t, "0x8300", name(d.expect().ID))
		require.NoError(t, d.nc.Close())
		again := h.dial(t, key.Client)
		again.enter()
		f := again.expect()
		require.Equal(t, "0x8300", name(f.ID))
		require.EqualValues(t, 1, h.waiting(t))
		again.send(0x0001, 9, append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, f.Serial), f.ID), 0))
		require.Eventually(t, func() bool { return h.waiting(t) == 0 }, patience, 10*time.Millisecond)
	})
	t.Run("who is not let in learns it", func(t *testing.T) {
		d := h.dial(t, "13944444444")
		d.send(0x0200, 1, location(1))
		require.Equal(t, byte(resultFailure), d.expect().Body[4])
	})
}

// house is NATS, the session service and an instance.
type house struct {
	js   jetstream.JetStream
	addr string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	srv, err := natsx.Start(natsx.Embedded{Dir: t.TempDir(), Port: -1})
	require.NoError(t, err)
	t.Cleanup(srv.Shutdown)
	connect := func() (*nats.Conn, jetstream.JetStream) {
		nc, err := natsx.Connect(t.Context(), natsx.Options{Server: srv})
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		require.NoError(t, err)
		return nc, js
	}
	nc, js := connect()
	o := streams.DefaultOptions()
	o.Roots = []string{"jt808.*.*.up"}
	require.NoError(t, streams.Ensure(t.Context(), js, o))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := session.New(session.Config{NC: nc, JS: js, Node: "s", Log: slog.New(slog.DiscardHandler), Lost: -1})
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	require.NoError(t, s.Ready(t.Context()))
	h := &house{js: js}
	nc, js = connect()
	node, err := gateway.Open(t.Context(), gateway.NodeConfig{
		ID: "n", Version: "1", Services: []string{"jt808"}, Roots: o.Roots, NC: nc, JS: js,
		Log: slog.New(slog.DiscardHandler), Metrics: metrics.New("1"),
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, node.Close(ctx))
	})
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free
	require.NoError(t, err)
	h.addr = l.Addr().String()
	require.NoError(t, l.Close())
	n, err := config.Parse("test.conf", []byte("allow_anonymous: true\nlistener.tcp.default { bind: \""+h.addr+"\", enable_authn: false }"))
	require.NoError(t, err)
	c, err := Kind().Decode(n)
	require.NoError(t, err)
	_, err = node.Start(t.Context(), Kind(), "default", c)
	require.NoError(t, err)
	return h
}

// last is the last frame of a terminal in GW_RAW.
func (h *house) last(t *testing.T, client string) []byte {
	t.Helper()
	s, err := h.js.Stream(t.Context(), streams.Raw)
	require.NoError(t, err)
	m, err := s.GetLastMsgForSubject(t.Context(), streams.RawSubject(api.ClientKey{Proto: "jt808", Instance: "default", Client: client}, "0200"))
	require.NoError(t, err)
	return m.Data
}

func (h *house) waiting(t *testing.T) uint64 {
	t.Helper()
	s, err := h.js.Stream(t.Context(), streams.Queue)
	require.NoError(t, err)
	return s.CachedInfo().State.Msgs
}

// terminal is a device on a real connection.
type terminal struct {
	*testing.T
	nc    net.Conn
	phone jt808.Phone
	split *jt808.Splitter
	ahead []jt808.Frame
}

func (h *house) dial(t *testing.T, phone string) *terminal {
	t.Helper()
	nc, err := net.Dial("tcp", h.addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	p, err := jt808.ParsePhone(phone, false)
	require.NoError(t, err)
	return &terminal{T: t, nc: nc, phone: p, split: jt808.NewSplitter(0)}
}

func (d *terminal) send(id, serial uint16, body []byte) []byte {
	d.Helper()
	wire, err := jt808.Append(nil, jt808.Frame{Header: jt808.Header{ID: id, Phone: d.phone, Serial: serial}, Body: body})
	require.NoError(d, err)
	_, err = d.nc.Write(wire)
	require.NoError(d, err)
	return wire
}

func (d *terminal) read() (jt808.Frame, error) {
	for len(d.ahead) == 0 {
		buf := make([]byte, 4096)
		if err := d.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return jt808.Frame{}, err
		}
		n, err := d.nc.Read(buf)
		if err != nil {
			return jt808.Frame{}, err
		}
		d.split.Feed(buf[:n])
		for {
			content, bad, ok := d.split.Next()
			if !ok {
				break
			}
			if bad == nil {
				f, err := jt808.Parse(bytes.Clone(content))
				require.NoError(d, err)
				d.ahead = append(d.ahead, f)
			}
		}
	}
	f := d.ahead[0]
	d.ahead = d.ahead[1:]
	return f, nil
}

func (d *terminal) expect() jt808.Frame {
	d.Helper()
	f, err := d.read()
	require.NoError(d, err)
	return f
}

func (d *terminal) enter() {
	d.Helper()
	d.send(0x0102, 1, []byte(anonymousCode))
	require.Equal(d, byte(resultOK), d.expect().Body[4])
}

// report sends a location and waits for its answer.
func (d *terminal) report(serial uint16, body []byte) []byte {
	d.Helper()
	wire := d.send(0x0200, serial, body)
	f := d.expect()
	require.Equal(d, "0x8001", name(f.ID))
	require.Equal(d, []byte{0, byte(serial), 2, 0, 0}, f.Body)
	return wire
}
