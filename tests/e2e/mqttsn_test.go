package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/sim"
)

// sensor is an MQTT-SN device: it publishes numbers by QoS 1, each until it has
// the PUBACK, or has a session and notes what it gets.
type sensor struct {
	addr, id  string
	confirmed atomic.Int64

	mu     sync.Mutex
	got    []string
	seen   map[string]bool
	silent []string // came again without DUP
}

func (s *sensor) dial(ctx context.Context, clean bool) (*sim.MQTTSN, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return sim.DialMQTTSN(ctx, sim.MQTTSNOptions{
		ClientID: s.id, Clean: clean, Keepalive: 10, AutoAck: true, Retry: 300 * time.Millisecond, Retries: 50,
		Dial: func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "udp", s.addr) },
	})
}

// publish runs until ctx ends, over any number of connections.
func (s *sensor) publish(ctx context.Context, topic string) {
	for ctx.Err() == nil {
		d, err := s.dial(ctx, true)
		if err != nil {
			continue
		}
		for ctx.Err() == nil {
			n := s.confirmed.Load() + 1
			if err := d.Publish(ctx, topic, []byte(strconv.FormatInt(n, 10)), 1, false); err != nil {
				break
			}
			s.confirmed.Store(n)
		}
		d.Cut()
	}
}

// receive runs until ctx ends. A device that hears nothing for a while asks
// whether it is still known, as one with a keep-alive does.
func (s *sensor) receive(ctx context.Context, topic string) {
	for ctx.Err() == nil {
		d, err := s.dial(ctx, false)
		if err != nil {
			continue
		}
		if _, err := d.Subscribe(ctx, topic, 1); err == nil {
			s.take(ctx, d)
		}
		d.Cut()
	}
}

func (s *sensor) take(ctx context.Context, d *sim.MQTTSN) {
	for ctx.Err() == nil {
		one, cancel := context.WithTimeout(ctx, time.Second)
		m, err := d.Next(one)
		quiet := one.Err() != nil
		cancel()
		switch {
		case err == nil:
			s.note(m)
		case !quiet || d.Ping(ctx) != nil:
			return
		}
	}
}

func (s *sensor) note(m sim.MQTTSNMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body := string(m.Payload)
	if s.seen[body] && !m.DUP {
		s.silent = append(s.silent, body)
	}
	if !s.seen[body] {
		s.got = append(s.got, body)
	}
	s.seen[body] = true
}

func (s *sensor) last() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.got) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(s.got[len(s.got)-1], 10, 64)
	return n
}

// sensors adds an MQTT-SN instance on a port of its own to the cluster.
func (c *cluster) sensors() (addr string) {
	c.t.Helper()
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(c.t, err)
	addr = l.LocalAddr().String()
	require.NoError(c.t, l.Close())
	text, err := os.ReadFile(c.conf)
	require.NoError(c.t, err)
	more := strings.ReplaceAll(`
gateway.mqttsn.default {
  allow_anonymous: true
  retx_interval: "1s"
  retx_max_times: 20
  listener.udp.default { bind: "ADDR" }
}
`, "ADDR", addr)
	require.NoError(c.t, os.WriteFile(c.conf, append(text, more...), 0o600))
	return addr
}

func count(all []string, body string) (n int) {
	for _, s := range all {
		if s == body {
			n++
		}
	}
	return n
}

// TestKillUnderSensors kills edge and session processes, 20 times, in the middle
// of QoS 1 traffic: nothing acknowledged is lost, nothing is out of order, and
// what comes twice says so.
func TestKillUnderSensors(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	addr := c.sensors()
	spare := c.service("session-spare", "session")
	e := c.service("sensors", "mqttsn")
	from := &sensor{addr: addr, id: "from", seen: map[string]bool{}}
	to := &sensor{addr: addr, id: "to", seen: map[string]bool{}}
	d, err := to.dial(soon(t), false) // the subscription stands before the first message
	require.NoError(t, err)
	_, err = d.Subscribe(soon(t), "kill/sensors", 1)
	require.NoError(t, err)
	require.NoError(t, d.Close(soon(t)))
	ctxFrom, stopFrom := context.WithCancel(t.Context())
	ctxTo, stopTo := context.WithCancel(t.Context())
	var busy, listening sync.WaitGroup
	busy.Go(func() { from.publish(ctxFrom, "kill/sensors") })
	listening.Go(func() { to.receive(ctxTo, "kill/sensors") })
	progress := func(n int64) {
		want := from.confirmed.Load() + n
		require.Eventually(t, func() bool { return from.confirmed.Load() >= want }, patience, 5*time.Millisecond, "no progress")
	}
	for round := range 20 {
		progress(50)
		if round%4 == 3 {
			c.session.kill()
			c.session, spare = spare, c.service(fmt.Sprint("session-", round), "session")
			continue
		}
		e.kill()
		e = c.service(fmt.Sprint("sensors-", round), "mqttsn")
	}
	progress(50)
	stopFrom()
	busy.Wait()
	require.Eventually(t, func() bool { return to.last() >= from.confirmed.Load() }, 2*patience, 20*time.Millisecond, "confirmed, but not delivered")
	stopTo()
	listening.Wait()
	stored := c.stored("iot.kill.sensors")
	checkHistory(t, stored, from.confirmed.Load())
	checkHistory(t, to.got, from.confirmed.Load())
	for _, body := range to.silent { // what the publisher sent again over a new connection is two messages
		require.Greater(t, count(stored, body), 1, "%s came twice without DUP", body)
	}
	t.Logf("%d messages over 20 kills", from.confirmed.Load())
}
