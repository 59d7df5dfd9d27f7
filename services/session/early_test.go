package session

import (
	"context"
	"testing"
	"time"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/streams"
)

// TestSleepersNeedNotWaitForTheRest: an owner that has not read all records yet
// lets a sleeping device fetch what waits, from its own record; what would change
// a record has to wait.
func TestSleepersNeedNotWaitForTheRest(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.start("p1")
	e := h.edge("n1", acks)
	h.sleep("dev", 1, time.Hour)
	h.publish("iot.x", 1, 3)
	eventually(t, "queued", func() bool { return h.waiting(">") == 3 })

	part := p.owned.all()[0]
	for _, o := range p.owned.all() {
		if o.n == key("dev").Partition() {
			part = o
		}
	}
	part.whole.Store(false)
	part.mu.Lock() // as if nothing were read
	cl := part.clients[key("dev").String()]
	delete(part.clients, key("dev").String())
	part.mu.Unlock()
	cl.mu.Lock()
	cl.dead = true
	cl.mu.Unlock()

	refused := func(verb string, req any) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := natsx.Call[any, struct{}](ctx, h.nc, streams.SessionSubject(verb, key("dev")), req)
		want(t, verb, api.KindOf(err), api.Unavailable)
	}
	refused("open", api.OpenRequest{ClientKey: key("dev"), Node: "n1", Epoch: 3, Window: 1})
	refused("subscribe", ask("dev", "n1", 3))
	refused("unsubscribe", api.UnsubscribeRequest{ClientKey: key("dev"), Epoch: 3, Forget: true})

	resp, err := h.open("dev", 3, wake)
	must(t, err)
	want(t, "present", resp.Present, true)
	want(t, "filters", len(resp.Filters), 1)
	e.wants(1, 3)
	eventually(t, "emptied", func() bool { return h.waiting(">") == 0 })
	refused("sleep", api.SleepRequest{ClientKey: key("dev"), Node: "n1", Epoch: 3, For: time.Minute}) // another time than before
	h.sleep("dev", 3, time.Hour)
	_, err = h.open("nobody", 1, wake)
	wantKind(t, err, api.NotFound)
}
