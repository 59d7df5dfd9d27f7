package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/services/authn"
	"sluice/services/management"
	"sluice/streams"
)

// world is a server with authn, management, and nodes that are told what to say.
type world struct {
	url string
	nc  *nats.Conn
	js  jetstream.JetStream

	mu      sync.Mutex
	clients []api.ClientInfo
}

func newWorld(t *testing.T) *world {
	t.Helper()
	srv, err := natsx.Start(natsx.Embedded{Dir: t.TempDir(), Port: -1})
	require.NoError(t, err)
	t.Cleanup(srv.Shutdown)
	w := &world{url: srv.ClientURL()}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	w.nc, err = natsx.Connect(ctx, natsx.Options{Server: srv})
	require.NoError(t, err)
	t.Cleanup(w.nc.Close)
	w.js, err = jetstream.New(w.nc)
	require.NoError(t, err)
	require.NoError(t, streams.Ensure(t.Context(), w.js, streams.DefaultOptions()))
	return w
}

type service interface {
	Run(ctx context.Context) error
	Ready(ctx context.Context) error
}

// serve runs the real services.
func (w *world) serve(t *testing.T) {
	t.Helper()
	a, err := authn.New(authn.Deps{NC: w.nc, JS: w.js})
	require.NoError(t, err)
	m, err := management.New(management.Deps{NC: w.nc, JS: w.js, NodeTimeout: 300 * time.Millisecond})
	require.NoError(t, err)
	for _, s := range []service{a, m} {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
		require.NoError(t, s.Ready(t.Context()))
	}
}

func (w *world) put(t *testing.T, bucket, key string, v any) {
	t.Helper()
	kv, err := w.js.KeyValue(t.Context(), bucket)
	require.NoError(t, err)
	data, err := json.Marshal(v)
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), key, data)
	require.NoError(t, err)
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (w *world) lease(t *testing.T, node string) {
	t.Helper()
	w.put(t, streams.Nodes, node, api.NodeLease{Node: node, Lease: "L", Services: []string{"authn", "stomp"}, Version: "v1.0.0", StartedAt: epoch})
}

// join is a node that runs stomp.default and has the world's clients.
func (w *world) join(t *testing.T, node string) {
	t.Helper()
	w.lease(t, node)
	prefix := streams.EdgeSubject(node, "", "")
	sub, err := w.nc.Subscribe(prefix+">", func(m *nats.Msg) {
		verb, key, _ := strings.Cut(strings.TrimPrefix(m.Subject, prefix), ".")
		if err := w.answer(m, node, verb, key); err != nil {
			t.Error(err)
		}
	})
	require.NoError(t, err)
	require.NoError(t, w.nc.Flush())
	t.Cleanup(func() { _ = sub.Unsubscribe() })
}

func (w *world) answer(m *nats.Msg, node, verb, key string) error {
	switch verb {
	case "status":
		return natsx.Answer(m, []api.InstanceStatus{{
			Proto: "stomp", Instance: "default", Node: node, Status: "running", StartedAt: epoch,
			Listeners: []api.ListenerStatus{{ID: "stomp:tcp:default", Type: "tcp", Name: "default", Bind: "127.0.0.1:61613", Running: true, MaxConnections: 1000, Connections: 2}},
		}}, nil)
	case "metrics":
		return natsx.Answer(m, map[string]float64{"gw_clients": 2, `gw_frames_total{dir="in"}`: 1234567.5}, nil)
	case "kick":
		return natsx.Answer(m, strings.HasSuffix(key, ".car-7"), nil)
	case "list":
		r, err := natsx.Question[api.ListRequest](m)
		return natsx.Answer(m, w.list(r), err)
	}
	return nil
}

func (w *world) list(r api.ListRequest) api.ListResponse {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := api.ListResponse{Data: []api.ClientInfo{}}
	proto, _, _ := strings.Cut(r.Gateway, ".")
	for _, c := range w.clients {
		if r.Gateway != "" && proto != c.Proto || r.ClientID != "" && r.ClientID != c.Client ||
			!strings.Contains(c.Client, r.LikeClientID) || r.Username != "" && r.Username != c.Username {
			continue
		}
		out.Count++
		switch {
		case c.String() <= r.After:
		case len(out.Data) < r.Limit:
			out.Data = append(out.Data, c)
		default:
			out.Next = out.Data[r.Limit-1].String()
		}
	}
	return out
}

func car(id string) api.ClientInfo {
	return api.ClientInfo{
		ClientKey: api.ClientKey{Proto: "stomp", Instance: "default", Client: id}, Node: "n1", Listener: "stomp:tcp:default",
		Username: "ann", Mountpoint: "iot/", ProtoName: "STOMP", ProtoVer: "1.2", Peer: "192.0.2.1:4000", Keepalive: 30,
		CleanStart: true, Connected: true, ConnectedAt: epoch, Epoch: 7,
		Stats: api.ClientStats{RecvMsg: 3, SubscriptionsN: 1},
	}
}

// ctl runs the program.
func (w *world) ctl(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	line := append([]string{"sluicectl", "--nats", w.url, "--timeout", "3s"}, args...)
	code = run(line, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}
