package session

import (
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/streams"
)

func TestSharesAreEvenAndGoodbyeIsQuick(t *testing.T) {
	h := newHouse(t)
	a := h.start("p1")
	want(t, "alone", a.Owned(), api.Partitions)
	b := h.start("p2")
	eventually(t, "even", func() bool { return a.Owned() == 32 && b.Owned() == 32 })
	e := h.edge("n1", acks)
	must(t, h.subscribe(ask("car", "n1", 1)))
	h.publish("iot.x", 1, 5)
	e.wants(1, 5)
	start := time.Now()
	a.stop()
	eventually(t, "takeover", func() bool { return b.Owned() == api.Partitions })
	took := time.Since(start)
	t.Logf("takeover after a goodbye took %s", took)
	want(t, "within a second", took < time.Second, true)
	h.publish("iot.x", 6, 10)
	e.wants(6, 10)
	must(t, h.subscribe(ask("car", "n1", 2)))
}

func TestDeadOwnerIsReplaced(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	quick := func(c *Config) { c.LeaseTTL, c.LeaseEvery = 2*time.Second, 500*time.Millisecond }
	a := h.start("p1", quick)
	b := h.start("p2", quick)
	e := h.edge("n1", silent)
	must(t, h.subscribe(ask("car", "n1", 1)))
	h.publish("iot.x", 1, 4)
	e.wants(1, 4)
	a.kill()
	h.publish("iot.x", 5, 9) // nobody is there
	e.behave(acks)
	eventually(t, "takeover", func() bool { return b.Owned() == api.Partitions })
	e.wantsRest(4, 9)
	eventually(t, "queue empty", func() bool { return h.waiting(">") == 0 })
}

// TestFencedOwnerKeepsStill takes the lease away from an owner that does not
// know it yet.
func TestFencedOwnerKeepsStill(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	p := h.start("p1")
	e := h.edge("n1", acks)
	must(t, h.subscribe(ask("car", "n1", 1)))
	kv, err := h.js.KeyValue(t.Context(), streams.Partitions)
	must(t, err)
	leaseKey := "p." + strconv.Itoa(key("car").Partition())
	must(t, kv.Purge(t.Context(), leaseKey))
	lease, err := natsx.Acquire(t.Context(), h.js, streams.Partitions, leaseKey, []byte("thief"), 5*time.Second)
	must(t, err)
	eventually(t, "stopped", func() bool { return p.Owned() == api.Partitions-1 })
	h.publish("iot.x", 1, 3)
	e.quiet(700 * time.Millisecond)
	want(t, "queue", h.waiting(">"), 0)
	must(t, lease.Release(t.Context()))
	e.wants(1, 3)
}

// TestRestartLosesAndDoublesNothing stops and kills owners while messages flow.
func TestRestartLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *streams.Options) { o.QueueLimit = 100_000 })
	quick := func(c *Config) { c.LeaseTTL, c.LeaseEvery = 2*time.Second, 400*time.Millisecond }
	p := h.start("p0", quick)
	const total, clients = 3000, 3
	for i := range clients {
		must(t, h.subscribe(ask("c"+strconv.Itoa(i), "n1", 1)))
		must(t, h.unsubscribe(api.UnsubscribeRequest{ClientKey: key("c" + strconv.Itoa(i)), Epoch: 1})) // only queued
	}
	var busy sync.WaitGroup
	busy.Go(func() { h.publish("iot.x", 1, total) })
	for i := range 5 {
		pause(t.Context(), 100*time.Millisecond)
		if i%2 == 0 {
			p.kill()
		} else {
			p.stop()
		}
		p = h.start(fmt.Sprint("p", i+1), quick)
	}
	busy.Wait()
	eventually(t, "all queued", func() bool { return h.waiting(">") == clients*total })
	s, err := h.js.Stream(t.Context(), streams.Queue)
	must(t, err)
	for i := range clients {
		q, from := key("c"+strconv.Itoa(i)).QueueSubject("s.1"), uint64(1)
		for n := 1; n <= total; n++ {
			m, err := s.GetMsg(t.Context(), from, jetstream.WithGetMsgSubject(q))
			must(t, err)
			want(t, "in order, once", string(m.Data), strconv.Itoa(n))
			from = m.Sequence + 1
		}
	}
}

// TestPartitionThatComesGetsWhatItMissed: a partition without owner for a while,
// with one that reads for others, gets what was published meanwhile, once.
func TestPartitionThatComesGetsWhatItMissed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	quick := func(c *Config) { c.LeaseTTL, c.LeaseEvery = 2*time.Second, 500*time.Millisecond }
	a, b := h.start("p1", quick), h.start("p2", quick)
	eventually(t, "even", func() bool { return a.Owned() == 32 && b.Owned() == 32 })
	e := h.edge("n1", acks)
	for i := range 20 { // some are on each side
		must(t, h.subscribe(ask("c"+strconv.Itoa(i), "n1", 1)))
	}
	h.publish("iot.x", 1, 5)
	for range 20 * 5 {
		e.next()
	}
	a.kill()
	h.publish("iot.x", 6, 10)
	got := map[string]int{}
	for all := 0; all < 20*5; { // some of the first may come again: their deletion was cut off
		if a := e.next(); len(a.body) > 1 || a.body > "5" {
			got[a.body]++
			all++
		}
	}
	for i := 6; i <= 10; i++ {
		want(t, "each to all", got[strconv.Itoa(i)], 20)
	}
	eventually(t, "all with the other", func() bool { return b.Owned() == api.Partitions })
	e.quiet(300 * time.Millisecond)
	want(t, "queues", h.waiting(">"), 0)
}

// TestServerRestart takes NATS away for a moment, with messages in flight.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv, err := natsx.Start(natsx.Embedded{Dir: dir, Port: -1})
	must(t, err)
	h := &house{t: t, srv: srv, tcp: true}
	h.nc, h.js = h.connect()
	must(t, streams.Ensure(t.Context(), h.js, streams.DefaultOptions()))
	h.start("p1", func(c *Config) { c.Lost = 5 * time.Second })
	e := h.edge("n1", silent)
	must(t, h.subscribe(ask("car", "n1", 1)))
	h.publish("iot.x", 1, 10)
	e.wants(1, 4)
	u, err := url.Parse(srv.ClientURL())
	must(t, err)
	port, err := strconv.Atoi(u.Port())
	must(t, err)
	srv.Shutdown()
	e.behave(acks)
	srv, err = natsx.Start(natsx.Embedded{Dir: dir, Port: port})
	must(t, err)
	t.Cleanup(srv.Shutdown)
	eventually(t, "connected", h.nc.IsConnected)
	for seen := 4; seen < 10; { // what was sent before comes again, in any order
		if n, _ := strconv.Atoi(e.next().body); n > seen {
			want(t, "first delivery", n, seen+1)
			seen = n
		}
	}
	eventually(t, "queue empty", func() bool { return h.waiting(">") == 0 })
	for len(e.got) > 0 {
		<-e.got
	}
	h.publish("iot.x", 11, 12)
	e.wants(11, 12)
}
