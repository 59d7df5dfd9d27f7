package session

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/streams"
)

// device is a client of TestRandomCrashes: it acknowledges, refuses, or says
// nothing, and notes in which order it saw messages first.
type device struct {
	name string

	mu    sync.Mutex
	epoch uint64
	node  string
	seen  map[string]bool
	acked map[string]bool
	first []int
}

type fleet struct {
	h       *house
	devices map[string]*device

	mu   sync.Mutex
	r    *rand.Rand
	calm bool // everything is acknowledged from now on
}

func (f *fleet) chance() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calm {
		return 100
	}
	return f.r.IntN(10)
}

// on is an edge: it answers for the devices that are connected to it.
func (f *fleet) on(node string, m *nats.Msg) {
	k, err := api.ParseClientKey(m.Subject[len(streams.EdgeSubject(node, "dn", ""))+1:])
	must(f.h.t, err)
	d := f.devices[k.Client]
	epoch, _ := strconv.ParseUint(m.Header.Get(streams.HdrEpoch), 10, 64)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.node != node || d.epoch != epoch {
		_ = m.Respond([]byte(api.DeliverGone))
		return
	}
	body := string(m.Data)
	if !d.seen[body] {
		d.seen[body] = true
		n, _ := strconv.Atoi(body)
		d.first = append(d.first, n)
	}
	switch f.chance() {
	case 0: // lost on the way
	case 1:
		_ = m.Respond([]byte(api.DeliverNak))
	default:
		d.acked[body] = true
		_ = m.Respond([]byte(api.DeliverAck))
	}
}

// reconnect moves a device to another node, or the same, with or without a word
// to the old one.
func (f *fleet) reconnect(d *device, node string) {
	d.mu.Lock()
	old := d.epoch
	d.epoch, d.node = old+1, node
	d.mu.Unlock()
	if old > 0 && old%2 == 0 {
		_ = f.h.unsubscribe(api.UnsubscribeRequest{ClientKey: key(d.name), Epoch: old})
	}
	must(f.h.t, f.h.subscribe(ask(d.name, node, old+1)))
}

func TestRandomCrashes(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *streams.Options) { o.QueueLimit = 100_000 })
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	config := func(c *Config) {
		c.LeaseTTL, c.LeaseEvery, c.Retx = 2*time.Second, 400*time.Millisecond, 200*time.Millisecond
		c.MaxDeliver, c.NakStep, c.Lost = 1000, time.Millisecond, time.Second
	}
	f := &fleet{h: h, r: rand.New(rand.NewPCG(seed, 2)), devices: map[string]*device{}}
	for _, node := range []string{"n1", "n2"} {
		sub, err := h.nc.Subscribe(streams.EdgeSubject(node, "dn", ">"), func(m *nats.Msg) { f.on(node, m) })
		must(t, err)
		t.Cleanup(func() { _ = sub.Unsubscribe() })
	}
	p := h.start("p0", config)
	for i := range 6 {
		d := &device{name: "c" + strconv.Itoa(i), seen: map[string]bool{}, acked: map[string]bool{}}
		f.devices[d.name] = d
		f.reconnect(d, "n1")
	}
	const total = 600
	var busy sync.WaitGroup
	busy.Go(func() {
		for i := 1; i <= total; i++ {
			h.publish("iot.x", i, i)
			pause(t.Context(), 5*time.Millisecond)
		}
	})
	for step := range 20 {
		pause(t.Context(), time.Duration(r.IntN(150))*time.Millisecond)
		switch r.IntN(4) {
		case 0:
			end := p.stop
			if r.IntN(2) == 0 {
				end = p.kill
			}
			end()
			p = h.start(fmt.Sprint("p", step+1), config)
		default:
			f.reconnect(f.devices["c"+strconv.Itoa(r.IntN(6))], []string{"n1", "n2"}[r.IntN(2)])
		}
	}
	busy.Wait()
	f.mu.Lock()
	f.calm = true
	f.mu.Unlock()
	eventually(t, "everything acknowledged", func() bool { return h.waiting(">") == 0 && f.complete(total) })
	for _, d := range f.devices {
		d.check(t, total)
	}
}

func (f *fleet) complete(total int) bool {
	for _, d := range f.devices {
		d.mu.Lock()
		n := len(d.acked)
		d.mu.Unlock()
		if n < total {
			return false
		}
	}
	return true
}

func (d *device) check(t *testing.T, total int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	want(t, "acknowledged by "+subject.Token(d.name), len(d.acked), total)
	for i, n := range d.first {
		if n != i+1 {
			t.Fatalf("%s saw %d as its %dth message", d.name, n, i+1)
		}
	}
}
