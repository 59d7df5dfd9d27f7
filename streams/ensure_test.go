package streams_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"sluice/pkg/natsx"
	"sluice/streams"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

func server(t *testing.T) (context.Context, jetstream.JetStream) {
	t.Helper()
	s, err := natsx.Start(natsx.Embedded{Dir: t.TempDir(), Port: -1})
	require.NoError(t, err)
	t.Cleanup(s.Shutdown)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	nc, err := natsx.Connect(ctx, natsx.Options{Server: s, Name: t.Name()})
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	return ctx, js
}

func configOf(t *testing.T, ctx context.Context, js jetstream.JetStream, name string) jetstream.StreamConfig {
	t.Helper()
	s, err := js.Stream(ctx, name)
	require.NoError(t, err)
	info, err := s.Info(ctx)
	require.NoError(t, err)
	return info.Config
}

func names(t *testing.T, ctx context.Context, js jetstream.JetStream) []string {
	t.Helper()
	var all []string
	lister := js.StreamNames(ctx)
	for name := range lister.Name() {
		all = append(all, name)
	}
	require.NoError(t, lister.Err())
	slices.Sort(all)
	return all
}

func TestEnsureMakesAll(t *testing.T) {
	ctx, js := server(t)
	require.NoError(t, streams.Ensure(ctx, js, streams.DefaultOptions()))
	require.Equal(t, []string{
		"GW_AUDIT", "GW_DATA", "GW_DEAD", "GW_EVENTS", "GW_QUEUE_0", "GW_RAW", "GW_RETAINED", "GW_WORK",
		"KV_GW_BANNED", "KV_GW_CLIENTS", "KV_GW_NODES", "KV_GW_PARTITIONS", "KV_GW_SESSIONS", "KV_GW_USERS", "OBJ_GW_MEDIA",
	}, names(t, ctx, js))

	type stream struct {
		subjects   string
		age        time.Duration
		dedupe     time.Duration
		perSubject int64
		bytes      int64
		retention  jetstream.RetentionPolicy
		discard    jetstream.DiscardPolicy
		ttl        bool
		atomic     bool
	}
	day := 24 * time.Hour
	for name, want := range map[string]stream{
		streams.Data:     {"iot.>", 3 * day, time.Minute, -1, -1, jetstream.LimitsPolicy, jetstream.DiscardOld, true, true},
		streams.Retained: {"gw.ret.>", 0, time.Minute, 1, -1, jetstream.LimitsPolicy, jetstream.DiscardOld, true, false},
		streams.Raw:      {"gw.raw.>", 3 * day, time.Minute, -1, -1, jetstream.LimitsPolicy, jetstream.DiscardOld, false, false},
		streams.Work:     {"gw.work.>", 0, time.Minute, 100_000, -1, jetstream.WorkQueuePolicy, jetstream.DiscardNew, true, true},
		streams.Queue:    {"gw.q.>", 0, 10 * time.Minute, 1000, -1, jetstream.LimitsPolicy, jetstream.DiscardNew, true, false},
		streams.Dead:     {"gw.dead.>", 30 * day, 10 * time.Minute, -1, -1, jetstream.LimitsPolicy, jetstream.DiscardOld, false, false},
		streams.Events:   {"gw.evt.>", day, time.Second, -1, 256 << 20, jetstream.LimitsPolicy, jetstream.DiscardOld, false, false},
		streams.Audit:    {"gw.audit.>", 365 * day, 2 * time.Minute, -1, -1, jetstream.LimitsPolicy, jetstream.DiscardOld, false, false},
	} {
		c := configOf(t, ctx, js, name)
		require.Equal(t, want, stream{
			c.Subjects[0], c.MaxAge, c.Duplicates, c.MaxMsgsPerSubject, c.MaxBytes, c.Retention, c.Discard, c.AllowMsgTTL, c.AllowAtomicPublish,
		}, name)
		require.Len(t, c.Subjects, 1, name)
		require.Equal(t, jetstream.FileStorage, c.Storage, name)
		require.Equal(t, 1, c.Replicas, name)
		require.True(t, c.AllowDirect, name)
		require.Equal(t, -1, c.MaxConsumers, name)
		require.Equal(t, int64(-1), c.MaxMsgs, name)
		require.NotEmpty(t, c.Description, name)
		require.Equal(t, want.discard == jetstream.DiscardNew, c.DiscardNewPerSubject, name)
		require.Equal(t, name == streams.Retained, c.AllowRollup, name)
	}
	// What comes and goes with devices must leave nothing behind in the end.
	for name, marker := range map[string]time.Duration{
		streams.Users: 0, streams.Nodes: streams.MarkerTTL, streams.Partitions: streams.MarkerTTL,
		streams.Clients: streams.MarkerTTL, streams.Sessions: streams.MarkerTTL, streams.Banned: streams.MarkerTTL,
	} {
		c := configOf(t, ctx, js, "KV_"+name)
		require.EqualValues(t, 1, c.MaxMsgsPerSubject, name)
		require.Equal(t, marker, c.SubjectDeleteMarkerTTL, name)
		require.Equal(t, jetstream.FileStorage, c.Storage, name)
		require.Zero(t, c.MaxAge, name)
	}
}

// TestCommands: what applications tell devices has a stream where there is a
// protocol that takes it, and is stored once.
func TestCommands(t *testing.T) {
	ctx, js := server(t)
	o := streams.DefaultOptions()
	o.Roots, o.Commands = []string{"iot.>", "jt808.*.*.up"}, []string{"jt808.*.*.dn"}
	require.NoError(t, streams.Ensure(ctx, js, o))
	require.Equal(t, []string{"jt808.*.*.dn"}, configOf(t, ctx, js, streams.Commands).Subjects)
	ack, err := js.Publish(ctx, "jt808.a.b.dn", []byte("x"))
	require.NoError(t, err)
	require.Equal(t, streams.Commands, ack.Stream)
	o.Commands = []string{"tcp.*.dn"} // another process's
	require.NoError(t, streams.Ensure(ctx, js, o))
	require.Equal(t, []string{"jt808.*.*.dn", "tcp.*.dn"}, configOf(t, ctx, js, streams.Commands).Subjects)
	for _, bad := range []string{"iot.x", "jt808.a.b.up", "*.dn", "gw.x", "a..b", ""} {
		o.Commands = []string{bad}
		require.ErrorContains(t, streams.Check(o), "topic of commands", bad)
	}
}

func TestEnsureAgainChangesNothing(t *testing.T) {
	ctx, js := server(t)
	o := streams.DefaultOptions()
	require.NoError(t, streams.Ensure(ctx, js, o))
	ack, err := js.Publish(ctx, "iot.a", []byte("x"))
	require.NoError(t, err)
	require.Equal(t, streams.Data, ack.Stream)
	before := map[string]jetstream.StreamConfig{}
	for _, name := range names(t, ctx, js) {
		before[name] = configOf(t, ctx, js, name)
	}
	for _, o.Keep = range []bool{false, true, false} {
		require.NoError(t, streams.Ensure(ctx, js, o))
	}
	for name, c := range before {
		require.Equal(t, c, configOf(t, ctx, js, name))
	}
	s, err := js.Stream(ctx, streams.Data)
	require.NoError(t, err)
	require.EqualValues(t, 1, s.CachedInfo().State.Msgs)
}

func changed() streams.Options {
	return streams.Options{Roots: []string{"iot.>", "jt808.>"}, Replicas: 1, DataMaxAge: time.Hour, DataMaxBytes: 1 << 20, QueueLimit: 7, WorkLimit: 8}
}

func TestEnsureFollowsOptions(t *testing.T) {
	ctx, js := server(t)
	require.NoError(t, streams.Ensure(ctx, js, streams.DefaultOptions()))
	_, err := js.Publish(ctx, "iot.a", []byte("x"))
	require.NoError(t, err)
	require.NoError(t, streams.Ensure(ctx, js, changed()))

	data := configOf(t, ctx, js, streams.Data)
	require.Equal(t, []string{"iot.>", "jt808.>"}, data.Subjects)
	require.Equal(t, time.Hour, data.MaxAge)
	require.Equal(t, int64(1<<20), data.MaxBytes)
	require.Equal(t, int64(7), configOf(t, ctx, js, streams.Queue).MaxMsgsPerSubject)
	require.Equal(t, int64(8), configOf(t, ctx, js, streams.Work).MaxMsgsPerSubject)
	s, err := js.Stream(ctx, streams.Data)
	require.NoError(t, err)
	require.EqualValues(t, 1, s.CachedInfo().State.Msgs, "what was stored stays")
	_, err = js.Publish(ctx, "jt808.x", nil)
	require.NoError(t, err)

	// Roots of other processes' instances stay, and are merged.
	o := streams.DefaultOptions()
	o.Roots = []string{"jt808.a.>", "lwm2m.a.>"}
	require.NoError(t, streams.Ensure(ctx, js, o))
	require.Equal(t, []string{"iot.>", "jt808.>", "lwm2m.a.>"}, configOf(t, ctx, js, streams.Data).Subjects)
	o.Roots = []string{"lwm2m.>"}
	require.NoError(t, streams.Ensure(ctx, js, o))
	require.Equal(t, []string{"iot.>", "jt808.>", "lwm2m.>"}, configOf(t, ctx, js, streams.Data).Subjects)
}

func TestEnsureKeeps(t *testing.T) {
	ctx, js := server(t)
	require.NoError(t, streams.Ensure(ctx, js, changed()))
	o := streams.DefaultOptions()
	o.Keep, o.Roots = true, []string{"iot.>", "coap.>"}
	require.NoError(t, streams.Ensure(ctx, js, o))
	data := configOf(t, ctx, js, streams.Data)
	require.Equal(t, []string{"coap.>", "iot.>", "jt808.>"}, data.Subjects)
	require.Equal(t, time.Hour, data.MaxAge)
	require.Equal(t, int64(1<<20), data.MaxBytes)
	require.Equal(t, int64(7), configOf(t, ctx, js, streams.Queue).MaxMsgsPerSubject)
}

func TestEnsureAtOnce(t *testing.T) {
	ctx, js := server(t)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			o := streams.DefaultOptions()
			o.Roots = []string{"iot.>"}
			errs[i] = streams.Ensure(ctx, js, o)
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Len(t, names(t, ctx, js), 15)
}

func TestEnsureRefuses(t *testing.T) {
	ctx, js := server(t)
	for _, roots := range [][]string{nil, {"gw.>"}, {"a.>", "a.b"}} {
		require.ErrorContains(t, streams.Ensure(ctx, js, streams.Options{Roots: roots, Replicas: 1}), "streams: ")
	}
	require.Empty(t, names(t, ctx, js), "nothing was begun")

	_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "THEIRS", Subjects: []string{"iot.a.>"}})
	require.NoError(t, err)
	require.ErrorContains(t, streams.Ensure(ctx, js, streams.DefaultOptions()), "streams: GW_DATA: ")
}

// The queue refuses the newest message above the limit, of one client only.
func TestQueueLimit(t *testing.T) {
	ctx, js := server(t)
	o := streams.DefaultOptions()
	o.QueueLimit = 2
	require.NoError(t, streams.Ensure(ctx, js, o))
	for i := range 2 {
		_, err := js.Publish(ctx, "gw.q.1.stomp.d.a.s", fmt.Append(nil, i))
		require.NoError(t, err)
	}
	_, err := js.Publish(ctx, "gw.q.1.stomp.d.a.s", nil)
	require.ErrorContains(t, err, "maximum messages per subject exceeded")
	_, err = js.Publish(ctx, "gw.q.1.stomp.d.b.s", nil, jetstream.WithMsgTTL(time.Hour))
	require.NoError(t, err)
}

func TestEnsureWaitsAndGivesUp(t *testing.T) {
	s, err := natsx.Start(natsx.Embedded{Dir: t.TempDir(), Port: -1})
	require.NoError(t, err)
	t.Cleanup(s.Shutdown)
	nc, err := nats.Connect(s.ClientURL())
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.NewWithAPIPrefix(nc, "nobody.listens")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("patience is over"))
	defer cancel()
	err = streams.Ensure(ctx, js, streams.DefaultOptions())
	require.ErrorContains(t, err, "streams: GW_DATA: ")
	require.ErrorContains(t, err, "no responders", "why")
	require.ErrorContains(t, err, "patience is over")
}
