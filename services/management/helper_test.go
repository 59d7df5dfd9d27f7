package management

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/pkg/subject"
	"sluice/streams"
)

// house is a server with one running management service.
type house struct {
	nc *nats.Conn
	js jetstream.JetStream
}

func open(t *testing.T) *house {
	t.Helper()
	srv, err := natsx.Start(natsx.Embedded{Dir: t.TempDir(), Port: -1})
	require.NoError(t, err)
	t.Cleanup(srv.Shutdown)
	dial, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	nc, err := natsx.Connect(dial, natsx.Options{Server: srv})
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.NoError(t, streams.Ensure(t.Context(), js, streams.DefaultOptions()))
	s, err := New(Deps{NC: nc, JS: js, NodeTimeout: 300 * time.Millisecond, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-done) })
	require.NoError(t, s.Ready(t.Context()))
	return &house{nc: nc, js: js}
}

func call[Req, Resp any](t *testing.T, h *house, verb string, r Req) (Resp, error) {
	t.Helper()
	return natsx.Call[Req, Resp](t.Context(), h.nc, streams.ServiceSubject("mgmt", verb), r)
}

func (h *house) put(t *testing.T, bucket, key string, v any) {
	t.Helper()
	kv, err := h.js.KeyValue(t.Context(), bucket)
	require.NoError(t, err)
	data, err := json.Marshal(v)
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), key, data)
	require.NoError(t, err)
}

// node is an edge node as management sees it.
type node struct {
	name     string
	statuses []api.InstanceStatus
	clients  []api.ClientInfo // in the order of their keys
	metrics  map[string]float64
	page     int  // 0 = 500
	silent   bool // listens and does not answer

	mu     sync.Mutex
	kicked []string
}

// join gives a node its lease and has it answer.
func (h *house) join(t *testing.T, n *node) *node {
	t.Helper()
	h.put(t, streams.Nodes, subject.Token(n.name), api.NodeLease{
		Node: n.name, Lease: "l", Services: []string{"stomp"}, Version: "1.0.0", StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	})
	prefix := streams.EdgeSubject(n.name, "", "")
	sub, err := h.nc.Subscribe(prefix+">", func(m *nats.Msg) {
		if n.silent {
			return
		}
		verb, key, _ := strings.Cut(strings.TrimPrefix(m.Subject, prefix), ".")
		if err := n.answer(m, verb, key); err != nil {
			t.Error(err)
		}
	})
	require.NoError(t, err)
	require.NoError(t, h.nc.Flush())
	t.Cleanup(func() { _ = sub.Unsubscribe() })
	return n
}

func (n *node) answer(m *nats.Msg, verb, key string) error {
	switch verb {
	case "status":
		return natsx.Answer(m, n.statuses, nil)
	case "metrics":
		return natsx.Answer(m, n.metrics, nil)
	case "kick":
		n.mu.Lock()
		defer n.mu.Unlock()
		here := slices.ContainsFunc(n.clients, func(c api.ClientInfo) bool { return c.String() == key })
		if here {
			n.kicked = append(n.kicked, key)
		}
		return natsx.Answer(m, here, nil)
	case "list":
		r, err := natsx.Question[api.ListRequest](m)
		return natsx.Answer(m, n.list(r), err)
	}
	return nil
}

func (n *node) list(r api.ListRequest) api.ListResponse {
	proto, inst, named := strings.Cut(r.Gateway, ".")
	limit := r.Limit
	if n.page > 0 {
		limit = min(limit, n.page)
	}
	out := api.ListResponse{Data: []api.ClientInfo{}}
	for _, c := range n.clients {
		if r.Gateway != "" && (c.Proto != proto || named && c.Instance != inst) || r.ClientID != "" && c.Client != r.ClientID {
			continue
		}
		out.Count++
		switch {
		case c.String() <= r.After:
		case len(out.Data) < limit:
			out.Data = append(out.Data, c)
		default:
			out.Next = out.Data[limit-1].String()
		}
	}
	return out
}

func client(inst, id string, epoch uint64) api.ClientInfo {
	return api.ClientInfo{ClientKey: api.ClientKey{Proto: "stomp", Instance: inst, Client: id}, Epoch: epoch}
}

func (h *house) audited(t *testing.T) (verbs []string) {
	t.Helper()
	s, err := h.js.Stream(t.Context(), streams.Audit)
	require.NoError(t, err)
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	for seq := uint64(1); seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		var r auditRecord
		require.NoError(t, json.Unmarshal(m.Data, &r))
		require.Equal(t, "gw.audit.cli."+r.Verb, m.Subject)
		verbs = append(verbs, r.Verb)
	}
	return verbs
}
