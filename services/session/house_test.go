package session

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/pkg/subject"
	"sluice/streams"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a NATS server with the streams of sluice.
type house struct {
	t   testing.TB
	srv *natsx.Server
	nc  *nats.Conn
	js  jetstream.JetStream
	tcp bool // connections can outlive the server
}

func newHouse(t testing.TB, change ...func(*streams.Options)) *house {
	t.Helper()
	srv, err := natsx.Start(natsx.Embedded{Dir: t.TempDir(), Port: -1})
	must(t, err)
	t.Cleanup(srv.Shutdown)
	h := &house{t: t, srv: srv}
	h.nc, h.js = h.connect()
	o := streams.DefaultOptions()
	for _, f := range change {
		f(&o)
	}
	must(t, streams.Ensure(t.Context(), h.js, o))
	return h
}

func (h *house) connect() (*nats.Conn, jetstream.JetStream) {
	h.t.Helper()
	o := natsx.Options{Server: h.srv}
	if h.tcp {
		o = natsx.Options{URLs: []string{h.srv.ClientURL()}}
	}
	nc, err := natsx.Connect(h.t.Context(), o)
	must(h.t, err)
	h.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	must(h.t, err)
	return nc, js
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
		NC: nc, JS: js, Node: node, Log: slog.New(slog.NewTextHandler(h.t.Output(), nil)),
		Retx: 400 * time.Millisecond, NakStep: 20 * time.Millisecond, Lost: -1,
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
	must(h.t, p.Ready(h.t.Context()))
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

func key(client string) api.ClientKey {
	return api.ClientKey{Proto: "stomp", Instance: "default", Client: client}
}

func (h *house) subscribe(r api.SubscribeRequest) error {
	return h.call("subscribe", r.ClientKey, r)
}

func (h *house) unsubscribe(r api.UnsubscribeRequest) error {
	return h.call("unsubscribe", r.ClientKey, r)
}

func (h *house) call(verb string, k api.ClientKey, r any) error {
	_, err := request[struct{}](h, verb, k, r)
	return err
}

// request asks the owner of a client's partition, also while there is none yet.
func request[Resp any](h *house, verb string, k api.ClientKey, r any) (Resp, error) {
	ctx, cancel := context.WithTimeout(h.t.Context(), 60*time.Second)
	defer cancel()
	for {
		resp, err := natsx.CallWithin[any, Resp](ctx, 10*time.Second, h.nc, streams.SessionSubject(verb, k), r)
		if err == nil || api.KindOf(err) != api.Unavailable || ctx.Err() != nil {
			return resp, err
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// ask is the subscription of most tests.
func ask(client, node string, epoch uint64) api.SubscribeRequest {
	return api.SubscribeRequest{ClientKey: key(client), ID: "s.1", Subjects: []string{"iot.>"}, Node: node, Epoch: epoch, Window: 4}
}

func (h *house) publish(subj string, from, to int) {
	h.t.Helper()
	for i := from; i <= to; i++ {
		_, err := h.js.Publish(h.t.Context(), subj, []byte(strconv.Itoa(i)))
		must(h.t, err)
	}
}

// waiting is the number of messages in a queue, or in all.
func (h *house) waiting(filter string) (n uint64) {
	h.t.Helper()
	return h.messages(streams.Queue, filter)
}

func (h *house) messages(stream, filter string) (n uint64) {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), stream)
	must(h.t, err)
	info, err := s.Info(h.t.Context(), jetstream.WithSubjectFilter(filter))
	must(h.t, err)
	for _, c := range info.State.Subjects {
		n += c
	}
	return n
}

func (h *house) record(client string) (api.Session, bool) {
	h.t.Helper()
	kv, err := h.js.KeyValue(h.t.Context(), streams.Sessions)
	must(h.t, err)
	e, err := kv.Get(h.t.Context(), streams.SessionKey(key(client)))
	if err != nil {
		return api.Session{}, false
	}
	var rec api.Session
	must(h.t, json.Unmarshal(e.Value(), &rec))
	return rec, true
}

// arrival is what an edge got.
type arrival struct {
	body    string
	sub     string
	seq     uint64
	epoch   uint64
	attempt int
	reply   string
	header  nats.Header
}

// edge is a node with clients that answer as told.
type edge struct {
	h   *house
	sub *nats.Subscription
	got chan arrival

	mu     sync.Mutex
	answer func(arrival) string
}

func (h *house) edge(node string, answer func(arrival) string) *edge {
	h.t.Helper()
	e := &edge{h: h, answer: answer, got: make(chan arrival, 10_000)}
	sub, err := h.nc.Subscribe(streams.EdgeSubject(node, ">", ""), e.on)
	must(h.t, err)
	must(h.t, h.nc.Flush())
	e.sub = sub
	h.t.Cleanup(func() { _ = sub.Unsubscribe() })
	return e
}

func (e *edge) on(m *nats.Msg) {
	a := arrival{body: string(m.Data), reply: m.Reply, header: m.Header}
	a.sub, _ = subject.Untoken(m.Header.Get(streams.HdrSub))
	a.seq, _ = strconv.ParseUint(m.Header.Get(streams.HdrSeq), 10, 64)
	a.epoch, _ = strconv.ParseUint(m.Header.Get(streams.HdrEpoch), 10, 64)
	a.attempt, _ = strconv.Atoi(m.Header.Get(streams.HdrAttempt))
	e.mu.Lock()
	answer := e.answer(a)
	e.mu.Unlock()
	if answer != "" {
		_ = m.Respond([]byte(answer))
	}
	e.got <- a
}

func (e *edge) behave(answer func(arrival) string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

// wants reads arrivals and insists on their bodies.
func (e *edge) wants(from, to int) (last arrival) {
	e.h.t.Helper()
	for i := from; i <= to; i++ {
		last = e.next()
		if last.body != strconv.Itoa(i) {
			e.h.t.Fatalf("got message %s (attempt %d), want %d", last.body, last.attempt, i)
		}
	}
	return last
}

// wantsRest reads arrivals until the last of the messages 1 to to has come. The
// device has had the first seen ones and not answered them: those may be repeated
// before, after and between the others, as their timers have it; the others come
// for the first time in their order.
func (e *edge) wantsRest(seen, to int) {
	e.h.t.Helper()
	for newest := seen; newest < to; {
		a := e.next()
		n, err := strconv.Atoi(a.body)
		must(e.h.t, err)
		if n > newest+1 {
			e.h.t.Fatalf("got message %d (attempt %d) after %d", n, a.attempt, newest)
		}
		newest = max(newest, n)
	}
}

func (e *edge) next() arrival {
	e.h.t.Helper()
	select {
	case a := <-e.got:
		return a
	case <-time.After(60 * time.Second):
		e.h.t.Fatal("nothing delivered within 60 s")
	}
	return arrival{}
}

func (e *edge) quiet(d time.Duration) {
	e.h.t.Helper()
	select {
	case a := <-e.got:
		e.h.t.Fatalf("got message %s, want none", a.body)
	case <-time.After(d):
	}
}

func acks(arrival) string   { return api.DeliverAck }
func naks(arrival) string   { return api.DeliverNak }
func silent(arrival) string { return "" }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, err error, k api.Kind) {
	t.Helper()
	if err == nil || api.KindOf(err) != k {
		t.Fatalf("got error %v, want %s", err, k)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 90 s", what)
		}
	}
}
