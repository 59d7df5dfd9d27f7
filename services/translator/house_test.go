package translator

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/pkg/wire/jt808"
	"sluice/streams"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// house is a NATS server with the streams of sluice.
type house struct {
	t   testing.TB
	srv *natsx.Server
	nc  *nats.Conn
	js  jetstream.JetStream
}

func newHouse(t testing.TB) *house {
	t.Helper()
	srv, err := natsx.Start(natsx.Embedded{Dir: t.TempDir(), Port: -1})
	require.NoError(t, err)
	t.Cleanup(srv.Shutdown)
	h := &house{t: t, srv: srv}
	h.nc, h.js = h.connect()
	o := streams.DefaultOptions()
	o.Roots, o.Commands = []string{"jt808.*.*.up", "jt808.*.*.up.raw"}, []string{"jt808.*.*.dn"}
	require.NoError(t, streams.Ensure(t.Context(), h.js, o))
	return h
}

func (h *house) connect() (*nats.Conn, jetstream.JetStream) {
	h.t.Helper()
	nc, err := natsx.Connect(h.t.Context(), natsx.Options{Server: h.srv})
	require.NoError(h.t, err)
	h.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(h.t, err)
	return nc, js
}

// forgetful has GW_DATA know ids for a moment only, as after a long stop.
func (h *house) forgetful() {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), streams.Data)
	require.NoError(h.t, err)
	c := s.CachedInfo().Config
	c.Duplicates = 100 * time.Millisecond
	_, err = h.js.UpdateStream(h.t.Context(), c)
	require.NoError(h.t, err)
}

// process runs the service on a connection of its own.
type process struct {
	*Service
	nc     *nats.Conn
	cancel context.CancelFunc
	done   chan struct{}
}

func (h *house) start(node string, change ...func(*Config)) *process {
	h.t.Helper()
	nc, js := h.connect()
	c := Config{
		NC: nc, JS: js, Node: node, Log: slog.New(slog.NewTextHandler(h.t.Output(), nil)), Topics: []string{"jt808.*.*.up", "jt808.*.*.up.raw"},
		Downlinks: []Downlink{{Proto: "jt808", Instance: "default", Template: "jt808/${clientid}/${phone}/dn"}},
		LeaseTTL:  2 * time.Second, LeaseEvery: 500 * time.Millisecond, SaveEvery: 50 * time.Millisecond,
	}
	for _, f := range change {
		f(&c)
	}
	ctx, cancel := context.WithCancel(h.t.Context())
	p := &process{Service: New(c), nc: nc, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		if err := p.Run(ctx); err != nil {
			h.t.Error(err)
		}
	}()
	h.t.Cleanup(p.stop)
	require.NoError(h.t, p.Ready(h.t.Context()))
	return p
}

func (p *process) stop() {
	p.cancel()
	<-p.done
}

// kill is the end of a process that can say no goodbye.
func (p *process) kill() {
	p.nc.Close()
	p.stop()
}

func key(phone string) api.ClientKey {
	return api.ClientKey{Proto: "jt808", Instance: "default", Client: phone}
}

// report stores a frame as the edge does.
func (h *house) report(phone string, frame []byte, form string) uint64 {
	h.t.Helper()
	ack, err := h.js.PublishMsg(h.t.Context(), &nats.Msg{
		Subject: streams.RawSubject(key(phone), "0200"), Data: frame,
		Header: nats.Header{
			streams.HdrSubject: {"jt808." + phone + "." + phone + ".up"}, streams.HdrForm: {form}, streams.HdrTs: {"2026-11-24T10:00:00.000Z"},
		},
	})
	require.NoError(h.t, err)
	return ack.Sequence
}

func frame(t testing.TB, f jt808.Frame) []byte {
	t.Helper()
	wire, err := jt808.Append(nil, f)
	require.NoError(t, err)
	return wire
}

// at is a location, told from others by its mileage.
func at(t testing.TB, phone string, n int) []byte {
	t.Helper()
	p, err := jt808.ParsePhone(phone, false)
	require.NoError(t, err)
	var v any
	d := json.NewDecoder(bytesOf(fmt.Sprintf(`{"alarm":0,"status":3,"latitude":1,"longitude":2,"altitude":3,"speed":4,"direction":5,
		"time":"261124100000","extra":{"mileage":%d}}`, n)))
	d.UseNumber()
	require.NoError(t, d.Decode(&v))
	body, err := jt808.EncodeValue(nil, 0x0200, jt808.Edition2013, v, jt808.Options{})
	require.NoError(t, err)
	return frame(t, jt808.Frame{Header: jt808.Header{ID: 0x0200, Phone: p, Serial: uint16(n)}, Body: body})
}

// got is everything under a filter, in the order of the stream.
func (h *house) got(filter string) (all []jetstream.Msg) {
	h.t.Helper()
	cons, err := h.js.OrderedConsumer(h.t.Context(), streams.Data, jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}})
	require.NoError(h.t, err)
	for {
		batch, err := cons.FetchNoWait(1000)
		require.NoError(h.t, err)
		n := 0
		for m := range batch.Messages() {
			n++
			all = append(all, m)
		}
		if n == 0 {
			return all
		}
	}
}

func (h *house) await(filter string, n int) []jetstream.Msg {
	h.t.Helper()
	var all []jetstream.Msg
	require.Eventually(h.t, func() bool {
		all = h.got(filter)
		return len(all) >= n
	}, patience, 20*time.Millisecond, "%s", filter)
	require.Len(h.t, all, n)
	return all
}

// miles are the mileages of locations.
func miles(t testing.TB, all []jetstream.Msg) (out []int) {
	t.Helper()
	for _, m := range all {
		var v struct {
			Body struct{ Extra struct{ Mileage int } }
		}
		require.NoError(t, json.Unmarshal(m.Data(), &v))
		out = append(out, v.Body.Extra.Mileage)
	}
	return out
}
