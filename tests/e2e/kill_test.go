package e2e

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/sim"
	"sluice/pkg/wire/stomp"
)

const window = 16 // receipts that a publisher waits for at a time

// publisher is a device that numbers its messages and sends each again until it
// has the receipt, as devices on bad networks do.
type publisher struct {
	topic, id string
	addr      atomic.Pointer[string]
	confirmed atomic.Int64 // all messages up to this one have receipts
}

// run publishes until ctx ends.
func (p *publisher) run(ctx context.Context) {
	for ctx.Err() == nil {
		d, err := dial(ctx, *p.addr.Load(), p.id)
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		p.session(ctx, d)
		_ = d.Close()
	}
}

// session publishes over one connection, window messages at a time in order.
func (p *publisher) session(ctx context.Context, d *sim.STOMP) {
	type sent struct {
		n       int64
		receipt <-chan error
	}
	var open []sent
	next := p.confirmed.Load() + 1
	for {
		for len(open) < window && ctx.Err() == nil {
			ch, err := d.Async(sim.Frame(stomp.CmdSend, []byte(strconv.FormatInt(next, 10)), "destination", p.topic))
			if err != nil {
				return
			}
			open = append(open, sent{next, ch})
			next++
		}
		if len(open) == 0 {
			return
		}
		select {
		case err := <-open[0].receipt:
			if err != nil {
				return
			}
			p.confirmed.Store(open[0].n)
			open = open[1:]
		case <-time.After(patience):
			return
		}
	}
}

// checkHistory: every confirmed number is there, and what a device sent again
// after a lost connection never comes before what it sent earlier.
func checkHistory(t *testing.T, got []string, confirmed int64) {
	t.Helper()
	var highest int64
	for i, text := range got {
		n, err := strconv.ParseInt(text, 10, 64)
		require.NoError(t, err)
		require.LessOrEqual(t, n, highest+1, "at %d: %d comes after %d; the missing one is later: %v; %v", i, n, highest,
			slices.Contains(got[i:], strconv.FormatInt(highest+1, 10)), got[max(0, i-20):min(len(got), i+20)])
		highest = max(highest, n)
	}
	require.GreaterOrEqual(t, highest, confirmed, "confirmed, but not there")
}

// subscriber keeps a durable subscription over reconnects and records first
// sights.
type subscriber struct {
	topic, id string
	addr      atomic.Pointer[string]
	mu        sync.Mutex
	got       []string
}

func (s *subscriber) run(ctx context.Context) {
	for ctx.Err() == nil {
		d, err := dial(ctx, *s.addr.Load(), s.id)
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		if err := d.Subscribe(ctx, "d", s.topic, "durable", "true", "ack", "client-individual"); err == nil {
			s.session(ctx, d)
		}
		_ = d.Close()
	}
}

func (s *subscriber) session(ctx context.Context, d *sim.STOMP) {
	for {
		m, err := d.Next(ctx)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.got = append(s.got, string(m.Body))
		s.mu.Unlock()
		if _, err := d.Async(d.AckFrame(m)); err != nil {
			return
		}
	}
}

func (s *subscriber) last() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(s.got[len(s.got)-1], 10, 64)
	return n
}

// traffic is one publisher and one durable subscriber of a topic.
func (c *cluster) traffic(from, to *edge, topic string) (*publisher, *subscriber, func()) {
	c.t.Helper()
	p, s := &publisher{topic: topic, id: "pub"}, &subscriber{topic: topic, id: "sub"}
	p.addr.Store(&from.addr)
	s.addr.Store(&to.addr)
	d := c.device(to, "sub") // the subscription stands before the first message
	require.NoError(c.t, d.Subscribe(soon(c.t), "d", topic, "durable", "true", "ack", "client-individual"))
	require.NoError(c.t, d.Disconnect(soon(c.t)))
	ctx, stop := context.WithCancel(c.t.Context())
	ctxS, stopS := context.WithCancel(c.t.Context())
	var pubs, subs sync.WaitGroup
	pubs.Go(func() { p.run(ctx) })
	subs.Go(func() { s.run(ctxS) })
	return p, s, func() {
		stop()
		pubs.Wait()
		require.Eventually(c.t, func() bool { return s.last() >= p.confirmed.Load() }, patience, 20*time.Millisecond,
			"the durable subscriber did not get all that was confirmed")
		stopS()
		subs.Wait()
	}
}

// progress waits until n more messages are confirmed.
func (p *publisher) progress(t *testing.T, n int64) {
	t.Helper()
	want := p.confirmed.Load() + n
	require.Eventually(t, func() bool { return p.confirmed.Load() >= want }, patience, 5*time.Millisecond, "no progress")
}

func TestKillEdge(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	e, other := c.edge("edge-a"), c.edge("edge-b")
	p, s, end := c.traffic(e, other, "kill/edge")
	for round := range 5 {
		p.progress(t, 200)
		e.kill()
		e = c.edge(fmt.Sprint("edge-a", round)) // a dead node's name is free only after its lease
		p.addr.Store(&e.addr)
	}
	p.progress(t, 200)
	end()
	checkHistory(t, c.stored("iot.kill.edge"), p.confirmed.Load())
	checkHistory(t, s.got, p.confirmed.Load())
}

func TestKillSessionService(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	e := c.edge("edge-a")
	p, s, end := c.traffic(e, e, "kill/session")
	for round := range 3 {
		p.progress(t, 200)
		c.session.kill()
		c.session = c.service(fmt.Sprint("session-", round), "session")
	}
	p.progress(t, 200)
	end()
	checkHistory(t, s.got, p.confirmed.Load())
}

func TestKillNATS(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	e := c.edge("edge-a")
	p, s, end := c.traffic(e, e, "kill/nats")
	for range 3 {
		p.progress(t, 200)
		c.nats.kill()
		c.startNATS()
	}
	p.progress(t, 200)
	end()
	checkHistory(t, c.stored("iot.kill.nats"), p.confirmed.Load())
	checkHistory(t, s.got, p.confirmed.Load())
}
