package authn

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/streams"
	"sluice/tests/logs"
)

// house is a server with one running authn.
type house struct {
	*Service
	nc  *nats.Conn
	js  jetstream.JetStream
	log *logs.Buffer
}

func open(t *testing.T, before ...func(h *house)) *house {
	t.Helper()
	srv, err := natsx.Start(natsx.Embedded{Dir: t.TempDir(), Port: -1})
	require.NoError(t, err)
	t.Cleanup(srv.Shutdown)
	h := &house{log: &logs.Buffer{}}
	h.nc = dial(t, srv)
	h.js, err = jetstream.New(h.nc)
	require.NoError(t, err)
	require.NoError(t, streams.Ensure(t.Context(), h.js, streams.DefaultOptions()))
	for _, f := range before {
		f(h)
	}
	h.Service = h.start(t)
	return h
}

func dial(t *testing.T, srv *natsx.Server) *nats.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	nc, err := natsx.Connect(ctx, natsx.Options{Server: srv})
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// start runs another instance.
func (h *house) start(t *testing.T) *Service {
	t.Helper()
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := New(Deps{NC: h.nc, JS: h.js, Log: log, Version: "v1.2.3"})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })
	require.NoError(t, s.Ready(t.Context()))
	return s
}

func (h *house) ask(t *testing.T, r api.AuthRequest) (api.AuthResponse, error) {
	t.Helper()
	return natsx.Call[api.AuthRequest, api.AuthResponse](t.Context(), h.nc, streams.ServiceSubject("authn", "check"), r)
}

func call[Req, Resp any](t *testing.T, h *house, verb string, r Req) (Resp, error) {
	t.Helper()
	return natsx.Call[Req, Resp](t.Context(), h.nc, streams.ServiceSubject("authn", verb), r)
}

// store writes a record without asking the service.
func (h *house) store(t *testing.T, key string, u api.User) {
	t.Helper()
	kv, err := h.js.KeyValue(t.Context(), streams.Users)
	require.NoError(t, err)
	value, err := json.Marshal(u)
	require.NoError(t, err)
	_, err = kv.Put(t.Context(), key, value)
	require.NoError(t, err)
}

// cheap is a hash that costs nothing to verify.
func cheap(pw string) string {
	salt := []byte("0123456789abcdef")
	key := argon2.IDKey([]byte(pw), salt, 1, 8, 1, keyLen)
	return phc(8, 1, 1, salt, key)
}

func request(user, pw string, anonymous bool) api.AuthRequest {
	return api.AuthRequest{
		ClientKey: api.ClientKey{Proto: "stomp", Instance: "default", Client: "c"},
		Peer:      "192.0.2.1:4000", Username: user, Password: api.Password(pw), AllowAnonymous: anonymous,
	}
}
