package conform

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crowd is how many strangers misbehave at once, and cost what each may cost.
const (
	crowd = 200
	cost  = 64 << 10
)

// misbehave has a crowd say something, and checks that it costs little memory,
// that all of it comes back, and that a device is served meanwhile.
func misbehave(t *testing.T, s *stage, say []byte) {
	r := s.room(t, s.house, keys{"idle_timeout": `"3s"`})
	d := r.enter(t, 0, "a")
	goroutines, heap := runtime.NumGoroutine(), heapInUse()
	var all []*Gate
	for range crowd {
		g := r.stranger(t, 0)
		_, _ = g.Write(say) // the server may close before it is all out
		all = append(all, g)
	}
	publish(t, d, "t", "served meanwhile")
	require.Less(t, heapInUse()-heap, int64(crowd*cost), "memory of %d strangers", crowd)
	for _, g := range all {
		hangsUp(t, g)
		_ = g.Close()
	}
	await(t, "connections are left", func() bool { return r.metric("gw_connections") == 1 })
	await(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= goroutines+10 })
	require.Equal(t, []string{"served meanwhile"}, r.payloads(t, r.subject(">")))
	require.Len(t, r.clients(t), 1)
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

func halfFrame(t *testing.T, s *stage) { misbehave(t, s, s.Half) }
func flood(t *testing.T, s *stage)     { misbehave(t, s, s.Flood) }

// unharmed checks that a node still serves devices. Whether it has caught a panic
// is looked at when the room ends.
func (r *Room) unharmed(t *testing.T) {
	t.Helper()
	d := r.enter(t, 0, "witness")
	publish(t, d, "witness", "well")
	require.NoError(t, d.Close(within(t)))
}

func oversize(t *testing.T, s *stage) {
	r := s.room(t, s.house, nil)
	d := r.enter(t, 0, "a")
	_ = d.Write(s.Oversize) // the server may close before it is all out
	if s.Can.Connection {
		ended(t, d)
		r.awaitEnd(t, "a", "protocol")
		r.awaitGone(t, "a")
	}
	r.unharmed(t)
	require.Equal(t, []string{"well"}, r.payloads(t, r.subject(">")))
}

func garbageBefore(t *testing.T, s *stage) {
	r := s.room(t, s.house, keys{"allow_anonymous": "true"})
	for _, b := range s.Garbage {
		g := r.stranger(t, 0)
		_, _ = g.Write(b)
		if s.Can.Connection {
			hangsUp(t, g)
		}
	}
	require.Empty(t, r.clients(t))
	r.unharmed(t)
}

func garbageAfter(t *testing.T, s *stage) {
	r := s.room(t, s.house, nil)
	for i, b := range s.Garbage {
		id := fmt.Sprintf("a%d", i)
		d := r.enter(t, 0, id)
		_ = d.Write(b)
		if s.Can.Connection {
			ended(t, d)
			r.awaitEnd(t, id, "protocol")
			r.awaitGone(t, id)
		}
	}
	r.unharmed(t)
	require.Equal(t, []string{"well"}, r.payloads(t, r.subject(">")))
}

func keepalive(t *testing.T, s *stage) { silent(t, s, nil) }

func halfPublish(t *testing.T, s *stage) { silent(t, s, s.HalfPublish) }

// silent lets a device announce a keep-alive and then say nothing more than b.
func silent(t *testing.T, s *stage, b []byte) {
	r := s.room(t, s.house, nil)
	l := r.login("a")
	l.Keepalive = s.Keepalive
	other := r.enter(t, 0, "b")
	d, err := r.dial(t, 0, l)
	require.NoError(t, err)
	if b != nil {
		require.NoError(t, d.Write(b))
	}
	e := r.awaitEnd(t, "a", "keepalive")
	if s.Can.Connection {
		ended(t, d)
	}
	r.awaitGone(t, "a")
	began := r.clients(t)
	require.Len(t, began, 1, "who announced none is not ended")
	publish(t, other, "t", "still here")
	c := r.events(t, "connected", "a")
	require.Len(t, c, 1)
	took := e.At.Sub(c[0].At)
	require.GreaterOrEqual(t, took, s.Keepalive)
	// Two seconds are for a slow machine.
	require.LessOrEqual(t, took, time.Duration(float64(s.Keepalive)*s.Grace)+2*time.Second)
	require.Equal(t, []string{"still here"}, r.payloads(t, r.subject(">")))
}

// slowDevice has one of two subscribers stop reading.
func slowDevice(t *testing.T, s *stage) {
	r := s.room(t, s.house, keys{"max_pending": "100"})
	slow, fast, source := r.enter(t, 0, "slow"), r.enter(t, 0, "fast"), r.enter(t, 0, "source")
	subscribe(t, slow, "t")
	subscribe(t, fast, "t")
	slow.Deaf(true)
	dropped := func() float64 { return r.metric(`gw_messages_total{dir="out",result="dropped"}`) }
	body := string(make([]byte, 4000))
	begin := time.Now()
	for n := 0; dropped() == 0 && len(r.events(t, "disconnected", "slow")) == 0; n++ {
		require.Less(t, time.Since(begin), patience, "after %d messages nobody noticed", n)
		publish(t, source, "t", body)
		expect(t, fast, body) // all of them, each before the next
	}
	e := r.awaitEnd(t, "slow", "slow")
	if dropped() > 0 {
		lost := r.events(t, "dropped", "slow")
		require.NotEmpty(t, lost)
		require.Equal(t, "slow_device", lost[0].Reason)
		require.Equal(t, "t", lost[0].Topic)
	}
	require.False(t, e.At.IsZero())
	r.awaitGone(t, "slow")
	publish(t, source, "t", "last")
	expect(t, fast, "last")
	require.Empty(t, r.events(t, "dropped", "fast"))
}
