package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"sluice/pkg/api"
	"sluice/pkg/config"
	"sluice/pkg/listen"
	"sluice/pkg/metrics"
	"sluice/pkg/natsx"
	"sluice/streams"
)

// A server that is shut down while a batch is staged leaves the goroutines of
// the batch's store behind.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.(*msgBlock).flushLoop"),
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"))
}

const patience = 20 * time.Second // for what must happen: the machine may be busy

// house is a NATS server with the streams of sluice. Its connections are TCP:
// they outlive the server.
type house struct {
	t    testing.TB
	srv  *natsx.Server
	dir  string
	port int
	nc   *nats.Conn
	js   jetstream.JetStream
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), port: -1}
	h.start()
	t.Cleanup(func() { h.srv.Shutdown() })
	u, err := url.Parse(h.srv.ClientURL())
	require.NoError(t, err)
	h.port, err = strconv.Atoi(u.Port())
	require.NoError(t, err)
	h.nc, h.js = h.dial()
	require.NoError(t, streams.Ensure(t.Context(), h.js, streams.DefaultOptions()))
	return h
}

func (h *house) start() {
	require.Eventually(h.t, func() bool {
		srv, err := natsx.Start(natsx.Embedded{Dir: h.dir, Port: h.port})
		h.srv = srv
		return err == nil
	}, patience, 20*time.Millisecond, "the port may be busy for a moment")
}

func (h *house) restart() {
	h.srv.Shutdown()
	h.start()
}

func (h *house) dial() (*nats.Conn, jetstream.JetStream) {
	h.t.Helper()
	nc, err := natsx.Connect(h.t.Context(), natsx.Options{URLs: []string{h.srv.ClientURL()}})
	require.NoError(h.t, err)
	h.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(h.t, err)
	return nc, js
}

// node is one with a connection of its own, closed at the end of the test.
func (h *house) node(id string) *Node {
	h.t.Helper()
	nc, js := h.dial()
	n, err := Open(h.t.Context(), NodeConfig{
		ID: id, Version: "1.2.3", Services: []string{"test"}, Roots: []string{"iot.>"}, NC: nc, JS: js,
		Log: slog.New(slog.DiscardHandler), Metrics: metrics.New("1.2.3"),
	})
	require.NoError(h.t, err)
	h.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(h.t, n.Close(ctx))
	})
	return n
}

// publisher is one without a node.
func (h *house) publisher(change ...func(*publisher)) *publisher {
	h.t.Helper()
	nc, _ := h.dial()
	return h.publisherOn(nc, change...)
}

func (h *house) publisherOn(nc *nats.Conn, change ...func(*publisher)) *publisher {
	h.t.Helper()
	p, err := newPublisher(nc, slog.New(slog.DiscardHandler), nil, newID())
	require.NoError(h.t, err)
	for _, f := range change {
		f(p)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); p.run(ctx) }()
	h.t.Cleanup(func() { cancel(); <-ended })
	return p
}

// stored are the bodies of a stream in its order.
func (h *house) stored(stream, filter string) (bodies []string) {
	h.t.Helper()
	for _, m := range h.messages(stream, filter) {
		bodies = append(bodies, string(m.Data()))
	}
	return bodies
}

func (h *house) messages(stream, filter string) (all []jetstream.Msg) {
	h.t.Helper()
	require.Eventually(h.t, h.nc.IsConnected, patience, time.Millisecond)
	n := h.count(stream, filter)
	cons, err := h.js.OrderedConsumer(h.t.Context(), stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}})
	require.NoError(h.t, err)
	it, err := cons.Messages()
	require.NoError(h.t, err)
	defer it.Stop()
	for range n {
		m, err := it.Next(jetstream.NextMaxWait(patience))
		require.NoError(h.t, err)
		all = append(all, m)
	}
	return all
}

// count is the number of messages in a stream.
func (h *house) count(stream, filter string) (n uint64) {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), stream)
	require.NoError(h.t, err)
	info, err := s.Info(h.t.Context(), jetstream.WithSubjectFilter(filter))
	require.NoError(h.t, err)
	for _, c := range info.State.Subjects {
		n += c
	}
	return n
}

// edgeConfig is a protocol of lines: the edge says its answer to each.
type edgeConfig struct {
	InstanceConfig
	Greeting string `conf:"greeting"`
}

func (c *edgeConfig) Validate() error { return nil }
func (c *edgeConfig) Edge() Edge      { return Edge{Stream: lineEdge{c}} }

type lineEdge struct{ conf *edgeConfig }

// Serve lets the device in by its first line and then says why it must go.
func (e lineEdge) Serve(ctx context.Context, c *listen.Conn, door Door, env Env) {
	defer c.Close()
	in := bufio.NewScanner(c)
	if !in.Scan() {
		return
	}
	cl, err := door.Connect(ctx, Hello{ClientID: in.Text(), Peer: c.RemoteAddr().String(), ProtoName: "LINE"})
	if err != nil {
		fmt.Fprintln(c, "no:", err)
		return
	}
	fmt.Fprintln(c, e.conf.Greeting, env.Version, cl.Info().Client)
	var why error
	select {
	case why = <-cl.Kicked():
	case <-ctx.Done():
		why = context.Cause(ctx)
	}
	fmt.Fprintln(c, "bye:", why)
	cl.Close(why)
}

func lineKind() Kind {
	return Kind{
		Proto: "line", Transports: []string{"tcp", "ws"}, Frames: []string{"line"}, Subprotocols: []string{"line.v1"},
		Defaults: func() Config { return &edgeConfig{InstanceConfig: DefaultInstance(), Greeting: "hello"} },
	}
}

// conf decodes an instance of the line protocol.
func conf(t testing.TB, text string) *edgeConfig {
	t.Helper()
	c, err := decode(text)
	require.NoError(t, err)
	return c.(*edgeConfig)
}

func decode(text string) (Config, error) {
	n, err := config.Parse("test.conf", []byte(text))
	if err != nil {
		return nil, err
	}
	return lineKind().Decode(n)
}

// instance starts one; its devices need no authentication unless the text names
// a listener that says otherwise.
func (h *house) instance(n *Node, name, text string) *Instance {
	h.t.Helper()
	i, err := n.Start(h.t.Context(), lineKind(), name, conf(h.t, text))
	require.NoError(h.t, err)
	return i
}

// let connects a device that needs no authentication.
func let(t testing.TB, i *Instance, id string) *client {
	t.Helper()
	c, err := letErr(t.Context(), i, id)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(nil) })
	return c
}

func letErr(ctx context.Context, i *Instance, id string) (*client, error) {
	no := false
	c, err := i.door(listen.Config{Type: "tcp", Name: "default", EnableAuthn: &no}).Connect(ctx, Hello{ClientID: id, Peer: "127.0.0.1:1234"})
	if err != nil {
		return nil, err
	}
	return c.(*client), nil
}

// next waits for the next event of a client.
func next(t testing.TB, c *client) Event {
	t.Helper()
	return events(t, c, 1)[0]
}

// events waits for n events.
func events(t testing.TB, c *client, n int) (all []Event) {
	t.Helper()
	end := time.After(patience)
	for {
		if all = c.Take(all); len(all) >= n {
			require.Len(t, all, n)
			return all
		}
		select {
		case <-c.Wake():
		case <-end:
			require.FailNow(t, "too few events", "%d of %d", len(all), n)
		}
	}
}

func wantKind(t testing.TB, k api.Kind, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, k.String(), api.KindOf(err).String(), err)
}

// kicked waits until a client is told to go.
func kicked(t testing.TB, c *client) error {
	t.Helper()
	select {
	case err := <-c.Kicked():
		return err
	case <-time.After(patience):
		require.FailNow(t, "not kicked")
		return nil
	}
}

// encoded is v as the buckets have it.
func encoded(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}
