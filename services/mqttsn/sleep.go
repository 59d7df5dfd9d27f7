package mqttsn

import (
	"context"
	"sync"
	"time"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/mqttsn"
)

const (
	// noAnswer: the device waits for nothing.
	noAnswer = mqttsn.Type(0xFF)
	// dozeTime is how long a device that wants to sleep may still acknowledge
	// messages of which there is no other copy, and wait for its own to be stored.
	dozeTime = 2 * time.Second
)

// onDisconnect lets the device go, or sleep (MQTT-SN 1.2 §6.12, §6.14).
func (c *conn) onDisconnect(p *mqttsn.Packet) {
	switch {
	case c.state == napping || c.state == joining && c.wake != nil:
		// on its way to sleep, or out of it: it will ask again
	case p.HasDuration && p.Duration > 0 && c.state == active:
		c.nap = p.Duration
		if c.dozing == 0 {
			c.dozing = max(c.srv.now(), 1)
			if c.out.unsaved() || c.in.busy() {
				c.dozing += dozeTime
			}
		}
	case p.HasDuration && p.Duration > 0 && c.state == awake:
		c.nap = p.Duration
		c.wake.kind, c.wake.failed = resleep, false
	default:
		c.send(mqttsn.Packet{Type: mqttsn.Disconnect})
		c.end(nil)
	}
}

// rest lets the device sleep when nothing is in the way any more.
func (c *conn) rest() {
	if c.calling || len(c.ops) > 0 || c.state == awake && c.wake.failed {
		return
	}
	switch {
	case c.state == active && c.dozing > 0:
		if !c.in.busy() && !c.out.unsaved() || c.srv.now() >= c.dozing {
			c.handOver(mqttsn.Disconnect)
		}
	case c.state != awake || c.in.busy() && !c.wake.over:
	case c.wake.over, c.wake.kind == speak:
		c.handOver(noAnswer)
	case c.wake.kind == resleep:
		c.handOver(mqttsn.Disconnect)
	case c.wake.kind == fetch && c.wake.drained && !c.out.busy():
		c.handOver(mqttsn.Pingresp)
	}
}

// handOver gives the session to the session service. Only then the device hears
// that it may sleep, and is forgotten here.
func (c *conn) handOver(answer mqttsn.Type) {
	before, client := c.state, c.client
	s := gateway.Sleep{For: time.Duration(c.nap) * time.Second, State: c.memory(true)}
	if c.will != nil {
		m := c.will.message()
		s.Will = &m
	}
	c.state = napping
	c.call(callTimeout, func(ctx context.Context) (gateway.Client, error) {
		return nil, client.Sleep(ctx, s)
	}, func(_ gateway.Client, err error) {
		switch {
		case err != nil:
			c.stay(before, err)
		case c.login != nil: // it came back before it slept
			l := c.login
			c.part(gateway.ErrAsleep)
			c.begin(l)
		default:
			c.srv.asleep.put(c.at.key(), c.id, c.srv.now()+time.Duration(grace*float64(s.For)))
			if answer != noAnswer {
				c.send(mqttsn.Packet{Type: answer})
			}
			c.end(gateway.ErrAsleep)
		}
	})
}

// stay keeps a device that could not be handed over: it has not been told, and
// asks again.
func (c *conn) stay(as state, why error) {
	c.srv.env.Log.Info("a device cannot sleep", "client", c.id, "error", why)
	c.state, c.dozing = as, 0
	if l := c.login; l != nil {
		c.part(gateway.ErrTakenOver)
		c.begin(l)
		return
	}
	if as == awake {
		c.wake.over, c.wake.failed = false, true
		c.wake.until = c.srv.now() + c.srv.patience()
	}
}

// patience is how long a device that is awake is waited for.
func (s *server) patience() time.Duration {
	return 2 * s.edge.conf.RetxInterval * time.Duration(s.edge.conf.RetxMaxTimes+1)
}

// sleepers remembers where devices fell asleep, for those that come without
// saying who they are. It may forget any of them.
type sleepers struct {
	mu sync.Mutex
	of map[string]sleeper
}

type sleeper struct {
	id    string
	until time.Duration
}

const maxSleepers = 1 << 16

func (s *sleepers) put(place, id string, until time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.of[place]; !there && len(s.of) >= maxSleepers {
		for place := range s.of {
			delete(s.of, place)
			break
		}
	}
	s.of[place] = sleeper{id, until}
}

func (s *sleepers) get(place string, now time.Duration) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.of[place]
	if ok && found.until < now {
		delete(s.of, place)
		ok = false
	}
	return found.id, ok
}

func (s *sleepers) forget(place string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, place)
}
