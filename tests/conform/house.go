package conform

import (
	"context"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/services/authn"
	"sluice/streams"
	"sluice/tests/logs"
)

// patience is for what must happen: the machine may be slow.
const patience = 30 * time.Second

// user is whom devices connect as unless a promise needs another.
const user = "device"

// House is everything that an edge needs, in this process and on TCP.
type House struct {
	Log *logs.Buffer

	log      *slog.Logger
	dir      string
	port     int
	server   *natsx.Server
	nc       *nats.Conn // of the tests
	js       jetstream.JetStream
	nodes    [2]*edgeNode
	relays   [2]*Relay // between a node and NATS
	services map[string]*running
	password string // of user

	mu      sync.Mutex
	secrets []string // must not be in any log
	rooms   int
}

// NewHouse starts a house and ends it with the test. without names services
// that are not started.
func NewHouse(t *testing.T, without ...string) *House {
	t.Helper()
	h := &House{Log: &logs.Buffer{}, dir: t.TempDir(), port: -1, services: map[string]*running{}}
	h.log = slog.New(slog.NewTextHandler(h.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.password = h.Secret()
	h.StartNATS(t)
	t.Cleanup(h.stopNATS)
	h.nc, h.js = h.connect(t, "test")
	t.Cleanup(h.nc.Close)
	o := streams.DefaultOptions()
	o.QueueLimit = 100_000 // a durable subscriber of the suite may be late
	require.NoError(t, streams.Ensure(within(t), h.js, o))
	for _, name := range []string{"authn", "session", "management"} {
		t.Cleanup(func() { h.StopService(t, name) })
		h.StartService(t, name)
	}
	h.User(t, user, h.password)
	for _, name := range without {
		h.StopService(t, name)
	}
	for i := range h.nodes {
		h.relays[i] = newRelay(t, h.port)
		t.Cleanup(h.relays[i].close)
		t.Cleanup(func() { h.StopNode(t, i) })
		h.StartNode(t, i)
	}
	t.Cleanup(func() { // now, while everything still runs
		h.noSecretIn(t)
		if t.Failed() && testing.Verbose() {
			for _, line := range slices.Concat(h.Log.Lines("level=WARN"), h.Log.Lines("level=ERROR"), h.Log.Lines("reconnected")) {
				t.Log(line)
			}
		}
	})
	return h
}

// StartNATS starts the server on what it stored, and on the port that it had.
func (h *House) StartNATS(t *testing.T) {
	t.Helper()
	s, err := natsx.Start(natsx.Embedded{Dir: h.dir, Port: h.port, Log: h.log})
	require.NoError(t, err)
	u, err := url.Parse(s.ClientURL())
	require.NoError(t, err)
	h.port, err = strconv.Atoi(u.Port())
	require.NoError(t, err)
	h.server = s
}

// StopNATS is the server going away, with its port.
func (h *House) StopNATS() { h.stopNATS() }

func (h *House) stopNATS() {
	if h.server != nil {
		h.server.Shutdown()
		h.server = nil
	}
}

// connect gives every part a connection of its own, over TCP: an in-process one
// would not come back after the server did.
func (h *House) connect(t *testing.T, name string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	return h.connectBy(t, name, "nats://127.0.0.1:"+strconv.Itoa(h.port))
}

func (h *House) connectBy(t *testing.T, name, url string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := natsx.Connect(within(t), natsx.Options{URLs: []string{url}, Name: name, Log: h.log.With("part", name)})
	require.NoError(t, err)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return nc, js
}

// Secret makes a password that must not be seen again.
func (h *House) Secret() string {
	s := "secret-" + natsx.NewID()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets = append(h.secrets, s)
	return s
}

// User makes a user that every instance knows.
func (h *House) User(t *testing.T, name, password string, rules ...api.Rule) {
	t.Helper()
	_, err := call[authn.UserInfo](t, h, "authn", "user.put", authn.PutUser{UserID: name, Password: api.Password(password), Rules: rules})
	require.NoError(t, err)
}

// call asks a service as an operator does.
func call[Resp any](t *testing.T, h *House, service, verb string, req any) (Resp, error) {
	t.Helper()
	return natsx.Call[any, Resp](within(t), h.nc, streams.ServiceSubject(service, verb), req)
}

// within is a context for one thing that must happen.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	t.Cleanup(cancel)
	return ctx
}

// await polls on the test's own goroutine, so that cond may use require.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !cond(); <-tick.C {
		if time.Now().After(end) {
			require.Fail(t, what)
		}
	}
}
