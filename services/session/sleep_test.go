package session

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/streams"
)

// open is the session of a client that has come to node n1.
func (h *house) open(client string, epoch uint64, change ...func(*api.OpenRequest)) (api.OpenResponse, error) {
	r := api.OpenRequest{ClientKey: key(client), Node: "n1", Epoch: epoch, Window: 1}
	for _, f := range change {
		f(&r)
	}
	return request[api.OpenResponse](h, "open", r.ClientKey, r)
}

func (h *house) sleep(client string, epoch uint64, d time.Duration, change ...func(*api.SleepRequest)) {
	h.t.Helper()
	r := api.SleepRequest{
		ClientKey: key(client), Node: "n1", Epoch: epoch, For: d,
		Filters: map[string]api.Filter{"x": {QoS: 1, Subjects: []string{"iot.x"}}},
	}
	for _, f := range change {
		f(&r)
	}
	must(h.t, h.call("sleep", r.ClientKey, r))
}

// told collects the events of a client.
func (h *house) told(client string) func() []string {
	h.t.Helper()
	sub, err := h.nc.SubscribeSync(streams.EventSubject("stomp", "default", "*", client))
	must(h.t, err)
	must(h.t, h.nc.Flush())
	var all []string
	return func() []string {
		for {
			m, err := sub.NextMsg(time.Millisecond)
			if err != nil {
				return all
			}
			var e api.Event
			must(h.t, json.Unmarshal(m.Data, &e))
			text := e.Event
			if e.ID != "" {
				text += " " + e.ID
			}
			all = append(all, text)
		}
	}
}

func wake(r *api.OpenRequest) { r.Wake = true }

// TestLostSleeper: its will goes out once, and a clean session ends with it.
func TestLostSleeper(t *testing.T) {
	h := newHouse(t)
	h.start("p1")
	for _, clean := range []bool{false, true} {
		client := "kept"
		if clean {
			client = "clean"
		}
		events := h.told(client)
		h.sleep(client, 1, 300*time.Millisecond, func(r *api.SleepRequest) {
			r.Clean = clean
			r.Will = &api.Will{Subject: "iot.will." + client, Header: map[string]string{"Gw-Client": client}, Payload: []byte("gone"), Retain: true}
		})
		h.publish("iot.x", 1, 1)
		eventually(t, "lost", func() bool { return strings.Contains(strings.Join(events(), " "), "lost") })
		want(t, "wills", h.messages(streams.Data, "iot.will."+client), 1)
		want(t, "retained", h.messages(streams.Retained, streams.RetainedSubject("iot.will."+client)), 1)
		rec, there := h.record(client)
		want(t, "record", there, !clean)
		if !clean {
			want(t, "offline", rec.State == api.Offline && rec.Will == nil, true)
		}
	}
	eventually(t, "only the kept one's queue", func() bool { return h.waiting(">") >= 1 })
	want(t, "clean queue", h.waiting(key("clean").QueueSubject(api.MainQueue)), 0)
	_, err := h.open("kept", 2, wake)
	wantKind(t, err, api.NotFound)
}

// TestSessionExpires: record and queue go.
func TestSessionExpires(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start("p1")
	events := h.told("car")
	must(t, h.subscribe(ask("car", "n1", 1)))
	must(t, h.unsubscribe(api.UnsubscribeRequest{ClientKey: key("car"), Epoch: 1, Leave: api.Leave{Expiry: 500 * time.Millisecond}}))
	h.publish("iot.x", 1, 3)
	eventually(t, "ended", func() bool { return strings.Contains(strings.Join(events(), " "), "ended") })
	_, there := h.record("car")
	want(t, "record", there, false)
	want(t, "queue", h.waiting(">"), 0)
}

// TestWakeDeliversAndTellsTheEnd, in order, over an owner that takes over.
func TestWakeDeliversAndTellsTheEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.start("p1")
	e := h.edge("n1", acks)
	h.sleep("car", 1, time.Hour, func(r *api.SleepRequest) { r.State = []byte("ids") })
	h.publish("iot.x", 1, 5)
	e.quiet(200 * time.Millisecond)
	p.stop()
	h.start("p2")
	got, err := h.open("car", 2, wake)
	must(t, err)
	want(t, "state", string(got.State), "ids")
	want(t, "filters", len(got.Filters), 1)
	e.wants(1, 5)
	want(t, "drained", e.next().header.Get(streams.HdrDrained), "1")
	_, err = h.open("car", 1, wake)
	wantKind(t, err, api.Conflict)
}

// TestRetransmission counts attempts, and gives a message up after enough.
func TestRetransmission(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start("p1")
	e := h.edge("n1", silent)
	r := ask("car", "n1", 1)
	r.Window, r.Retx = 1, api.Retx{Interval: 50 * time.Millisecond, MaxTries: 3}
	must(t, h.subscribe(r))
	h.publish("iot.x", 1, 1)
	for attempt := 1; attempt <= 3; attempt++ {
		want(t, "attempt", e.next().attempt, attempt)
	}
	eventually(t, "dead letter", func() bool { return h.messages(streams.Dead, "gw.dead.no_ack.>") == 1 })
	eventually(t, "queue empty", func() bool { return h.waiting(">") == 0 })
}

// command puts something into a client's queue, as an application does.
func (h *house) command(client, id string, ttl time.Duration) {
	h.t.Helper()
	m := nats.NewMsg(key(client).QueueSubject(api.MainQueue))
	m.Header.Set(nats.MsgIdHdr, id)
	m.Header.Set(jetstream.MsgTTLHeader, strconv.Itoa(int(ttl/time.Second))+"s")
	m.Data = []byte(id)
	_, err := h.js.PublishMsg(h.t.Context(), m)
	must(h.t, err)
}

// TestLifeOfCommands: queued, sent, acked; or expired when nobody comes.
func TestLifeOfCommands(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start("p1")
	e := h.edge("n1", acks)
	events := h.told("car")
	_, err := h.open("car", 1, func(r *api.OpenRequest) { r.Queue = true })
	must(t, err)
	h.command("car", "c1", time.Minute)
	want(t, "body", e.next().body, "c1")
	eventually(t, "acked", func() bool { return strings.HasSuffix(strings.Join(events(), ","), "acked c1") })
	want(t, "life", strings.Join(events(), ","), "queued c1,sent c1,acked c1")
	gone := h.told("nobody")
	h.command("nobody", "c2", time.Second)
	eventually(t, "expired", func() bool { return strings.Join(gone(), ",") == "queued c2,expired c2" })
	want(t, "queue", h.waiting(">"), 0)
}

// TestCopiesKeepTheRestOfTheirTime: what a publisher gave to a message.
func TestCopiesKeepTheRestOfTheirTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start("p1")
	h.sleep("car", 1, time.Hour)
	m := nats.NewMsg("iot.x")
	m.Header.Set(jetstream.MsgTTLHeader, "30s")
	_, err := h.js.PublishMsg(t.Context(), m)
	must(t, err)
	q := key("car").QueueSubject(api.MainQueue)
	eventually(t, "queued", func() bool { return h.waiting(q) == 1 })
	s, err := h.js.Stream(t.Context(), streams.Queue)
	must(t, err)
	kept, err := s.GetLastMsgForSubject(t.Context(), q)
	must(t, err)
	ttl, err := time.ParseDuration(kept.Header.Get(jetstream.MsgTTLHeader))
	must(t, err)
	want(t, "rest", ttl > 20*time.Second && ttl <= 30*time.Second, true)
}

// TestNodeThatDies: its sessions are offline, though nothing was on its way.
func TestNodeThatDies(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start("p1")
	h.edge("n1", acks)
	kv, err := h.js.KeyValue(t.Context(), streams.Nodes)
	must(t, err)
	_, err = kv.Put(t.Context(), subject.Token("n1"), []byte("{}"))
	must(t, err)
	must(t, h.subscribe(ask("car", "n1", 1)))
	must(t, kv.Purge(t.Context(), subject.Token("n1")))
	eventually(t, "offline", func() bool { rec, _ := h.record("car"); return rec.State == api.Offline })
}
