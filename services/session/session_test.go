package session

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"sluice/pkg/api"
	"sluice/streams"
)

func TestDeliversInOrderAndDeletes(t *testing.T) {
	h := newHouse(t)
	h.start("p1")
	e := h.edge("n1", acks)
	h.publish("iot.x", 1, 3) // before: not for it
	must(t, h.subscribe(ask("car", "n1", 7)))
	h.publish("iot.x", 4, 103)
	a := e.wants(4, 103)
	want(t, "sub", a.sub, "s.1")
	want(t, "epoch", a.epoch, 7)
	want(t, "attempt", a.attempt, 1)
	want(t, "subject", a.header.Get(streams.HdrSubject), "iot.x")
	want(t, "nats header", a.header.Get("Nats-Msg-Id"), "")
	eventually(t, "queue empty", func() bool { return h.waiting(">") == 0 })
	rec, _ := h.record("car")
	want(t, "record", rec.Node == "n1" && rec.Epoch == 7 && rec.Subs["s.1"].Attached && rec.Subs["s.1"].FromSeq == 4, true)
}

func TestOfflineKeepsAndReconnectGoesOn(t *testing.T) {
	h := newHouse(t)
	h.start("p1")
	e := h.edge("n1", silent)
	must(t, h.subscribe(ask("car", "n1", 1)))
	h.publish("iot.x", 1, 2)
	e.wants(1, 2)
	must(t, h.nc.Publish(streams.SessionSubject("unsubscribe", key("car")), []byte(`{"proto":"stomp","instance":"default","client":"car","epoch":1}`)))
	eventually(t, "offline", func() bool { rec, _ := h.record("car"); return rec.Node == "" })
	h.publish("iot.x", 3, 20)
	eventually(t, "queued", func() bool { return h.waiting(">") == 20 })
	e.quiet(500 * time.Millisecond)
	e.behave(acks)
	must(t, h.subscribe(ask("car", "n1", 2)))
	a := e.wants(1, 1)
	want(t, "sent before", a.attempt, 2)
	e.wants(2, 20)
	eventually(t, "queue empty", func() bool { return h.waiting(">") == 0 })
}

func TestUnansweredIsSentAgainWithTheSameAttempt(t *testing.T) {
	h := newHouse(t)
	h.start("p1")
	e := h.edge("n1", silent)
	must(t, h.subscribe(ask("car", "n1", 1)))
	h.publish("iot.x", 1, 1)
	first, again := e.wants(1, 1), e.wants(1, 1)
	want(t, "attempt", again.attempt, first.attempt)
	want(t, "sequence", again.seq, first.seq)
	must(t, h.nc.Publish(again.reply, []byte(api.DeliverAck)))
	eventually(t, "deleted", func() bool { return h.waiting(">") == 0 })
}

func TestNakEndsInDeadLetter(t *testing.T) {
	h := newHouse(t)
	h.start("p1")
	e := h.edge("n1", naks)
	must(t, h.subscribe(ask("car", "n1", 1)))
	h.publish("iot.x", 1, 1)
	for attempt := 1; attempt <= 5; attempt++ {
		want(t, "attempt", e.wants(1, 1).attempt, attempt)
	}
	eventually(t, "deleted", func() bool { return h.waiting(">") == 0 })
	s, err := h.js.Stream(t.Context(), streams.Dead)
	must(t, err)
	m, err := s.GetLastMsgForSubject(t.Context(), streams.DeadSubject("nack", key("car").String()))
	must(t, err)
	want(t, "body", string(m.Data), "1")
	want(t, "subject", m.Header.Get(streams.HdrSubject), "iot.x")
	want(t, "reason", m.Header.Get(streams.HdrReason), "nack")
	eventually(t, "event", func() bool { return h.messages(streams.Events, "gw.evt.stomp.default.dead.car") == 1 })
	e.quiet(200 * time.Millisecond)
}

func TestGoneMakesOffline(t *testing.T) {
	for name, away := range map[string]func(*edge){
		"gone":          func(e *edge) { e.behave(func(arrival) string { return api.DeliverGone }) },
		"no responders": func(e *edge) { must(e.h.t, e.sub.Unsubscribe()); must(e.h.t, e.h.nc.Flush()) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.start("p1")
			e := h.edge("n1", acks)
			must(t, h.subscribe(ask("car", "n1", 1)))
			away(e)
			h.publish("iot.x", 1, 3)
			eventually(t, "offline", func() bool {
				rec, _ := h.record("car")
				return rec.Node == "" && !rec.Subs["s.1"].Attached
			})
			eventually(t, "kept", func() bool { return h.waiting(">") == 3 })
			e2 := h.edge("n2", acks)
			must(t, h.subscribe(ask("car", "n2", 2)))
			e2.wants(1, 3)
		})
	}
}

func TestTakeoverDeliversAgainToTheNewOwner(t *testing.T) {
	h := newHouse(t)
	h.start("p1")
	e1, e2 := h.edge("n1", silent), h.edge("n2", acks)
	must(t, h.subscribe(ask("car", "n1", 1)))
	h.publish("iot.x", 1, 4)
	e1.wants(1, 4)
	must(t, h.subscribe(ask("car", "n2", 5)))
	want(t, "attempt", e2.wants(1, 1).attempt, 2)
	want(t, "epoch", e2.wants(2, 4).epoch, 5)
	e1.quiet(600 * time.Millisecond)
	wantKind(t, h.subscribe(ask("car", "n1", 1)), api.Conflict)
	wantKind(t, h.unsubscribe(api.UnsubscribeRequest{ClientKey: key("car"), Epoch: 4}), api.Conflict)
	h.publish("iot.x", 5, 5)
	e2.wants(5, 5)
	r := ask("car", "n2", 5)
	r.Subjects = []string{"gw.>"}
	wantKind(t, h.subscribe(r), api.Invalid)
}

func TestFullQueueRefusesTheNewest(t *testing.T) {
	h := newHouse(t, func(o *streams.Options) { o.QueueLimit = 5 })
	h.start("p1")
	e := h.edge("n1", acks)
	must(t, h.subscribe(ask("car", "n1", 1)))
	must(t, h.unsubscribe(api.UnsubscribeRequest{ClientKey: key("car"), ID: "s.1", Epoch: 1}))
	h.publish("iot.x", 1, 8)
	events, dropped := h.js, uint64(0)
	eventually(t, "event", func() bool {
		s, err := events.Stream(t.Context(), streams.Events)
		must(t, err)
		dropped = 0
		for seq := uint64(1); ; seq++ {
			m, err := s.GetMsg(t.Context(), seq)
			if err != nil {
				return dropped == 3
			}
			var ev api.Event
			must(t, json.Unmarshal(m.Data, &ev))
			want(t, "event", ev.Event+" "+ev.Reason, "dropped queue_full")
			dropped += ev.Count
		}
	})
	want(t, "queue", h.waiting(">"), 5)
	must(t, h.subscribe(ask("car", "n1", 1)))
	e.wants(1, 5)
	h.publish("iot.x", 9, 9)
	e.wants(9, 9)
}

func TestForgetPurges(t *testing.T) {
	h := newHouse(t)
	h.start("p1")
	e := h.edge("n1", silent)
	two := ask("car", "n1", 1)
	two.ID = "other"
	must(t, h.subscribe(ask("car", "n1", 1)))
	must(t, h.subscribe(two))
	h.publish("iot.x", 1, 10)
	eventually(t, "queued", func() bool { return h.waiting(">") == 20 })
	forget := api.UnsubscribeRequest{ClientKey: key("car"), ID: "s.1", Epoch: 1, Forget: true}
	must(t, h.unsubscribe(forget))
	want(t, "purged", h.waiting(key("car").QueueSubject("s.1")), 0)
	want(t, "the other", h.waiting(key("car").QueueSubject("other")), 10)
	rec, _ := h.record("car")
	want(t, "subs", len(rec.Subs), 1)
	forget.ID = ""
	must(t, h.unsubscribe(forget))
	want(t, "purged", h.waiting(">"), 0)
	_, ok := h.record("car")
	want(t, "record", ok, false)
	must(t, h.unsubscribe(forget))
	h.publish("iot.x", 11, 12)
	e.behave(acks)
	for len(e.got) > 0 {
		<-e.got
	}
	must(t, h.subscribe(ask("car", "n1", 2))) // anew
	h.publish("iot.x", 13, 14)
	e.wants(13, 14)
}

func TestOtherSubjectsStartAnew(t *testing.T) {
	h := newHouse(t)
	h.start("p1")
	e := h.edge("n1", silent)
	must(t, h.subscribe(ask("car", "n1", 1)))
	h.publish("iot.x", 1, 3)
	e.wants(1, 3)
	e.behave(acks)
	r := ask("car", "n1", 1)
	r.Subjects = []string{"iot.y", "iot.*", "iot.y"}
	must(t, h.subscribe(r))
	h.publish("iot.x.z", 4, 4)
	h.publish("iot.y", 5, 6) // matches twice, comes once
	e.wants(5, 6)
	eventually(t, "queue empty", func() bool { return h.waiting(">") == 0 })
	e.quiet(500 * time.Millisecond)
}

func TestNewConnectionGetsOnlyWhatItAsksFor(t *testing.T) {
	h := newHouse(t)
	h.start("p1")
	h.edge("n1", silent)
	e2 := h.edge("n2", acks)
	two := ask("car", "n1", 1)
	two.ID = "other"
	must(t, h.subscribe(ask("car", "n1", 1)))
	must(t, h.subscribe(two))
	h.publish("iot.x", 1, 1)
	must(t, h.subscribe(ask("car", "n2", 2)))
	want(t, "sub", e2.wants(1, 1).sub, "s.1")
	e2.quiet(500 * time.Millisecond)
	rec, _ := h.record("car")
	want(t, "other", rec.Subs["other"].Attached, false)
	eventually(t, "kept", func() bool { return h.waiting(">") == 1 })
}

func TestManySubscriptions(t *testing.T) {
	h := newHouse(t)
	h.start("p1")
	e := h.edge("n1", acks)
	const clients = 200
	for i := range clients {
		must(t, h.subscribe(ask("c"+strconv.Itoa(i), "n1", 1)))
	}
	start := time.Now()
	h.publish("iot.x", 1, 10)
	last := map[string]int{}
	for range clients * 10 {
		a := e.next()
		n, _ := strconv.Atoi(a.body)
		last[a.reply] = n
	}
	t.Logf("%d deliveries in %s", clients*10, time.Since(start))
	eventually(t, "queue empty", func() bool { return h.waiting(">") == 0 })
}
