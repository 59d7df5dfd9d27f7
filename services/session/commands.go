package session

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/wheel"
	"sluice/streams"
)

// command is a message that somebody else put into a client's queue, and whose
// life is told: queued, sent, acked, expired, dead.
type command struct {
	p     *partition
	name  string // of the client
	seq   uint64
	id    string // the Nats-Msg-Id of its sender
	clock wheel.Timer[alarm]
}

// commands are those that were queued in this process's time. One that an owner
// before us saw is told of as far as it is seen again.
type commands struct {
	mu sync.Mutex
	of map[uint64]*command
}

func (c *command) key() api.ClientKey {
	k, _ := api.ParseClientKey(c.name) // it was parsed when the command came
	return k
}

// ring is the end of the time that its sender gave it. It must not hold the
// wheel up.
func (c *command) ring() {
	go func() {
		ctx, cancel := context.WithTimeout(c.p.calls, ioTimeout)
		defer cancel()
		if err := c.p.expiredCommand(ctx, c); err != nil {
			c.p.trouble.report("look at a command", err)
			c.p.wheel.Set(&c.clock, c, hurry)
		}
	}()
}

// forget drops a command; false when it is not known.
func (c *commands) forget(seq uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	cmd := c.of[seq]
	if cmd == nil {
		return false
	}
	cmd.p.wheel.Stop(&cmd.clock)
	delete(c.of, seq)
	return true
}

func (c *commands) add(cmd *command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[uint64]*command{}
	}
	c.of[cmd.seq] = cmd
}

func (c *commands) get(seq uint64) *command {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[seq]
}

// onNotice takes the word of GW_QUEUE that it has stored something:
// gw.wake.<p>.<proto>.<inst>.<client>.<queue>. Copies of the fan-out are known
// by their acknowledgement.
func (p *partition) onNotice(m *nats.Msg) {
	if m.Header.Get(streams.HdrSeq) != "" {
		return
	}
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	tokens := strings.Split(m.Subject, ".")
	if err != nil || len(tokens) != 7 {
		return
	}
	name := strings.Join(tokens[3:6], ".")
	if _, err := api.ParseClientKey(name); err != nil {
		return
	}
	cmd := &command{p: p, name: name, seq: seq, id: m.Header.Get(nats.MsgIdHdr)}
	p.commands.add(cmd)
	if ttl, err := strconv.Atoi(strings.TrimSuffix(m.Header.Get(jetstream.MsgTTLHeader), "s")); err == nil && ttl > 0 {
		p.wheel.Set(&cmd.clock, cmd, time.Duration(ttl)*time.Second+tellDropsAfter)
	}
	p.event(api.Event{ClientKey: cmd.key(), Event: api.EventQueued, Queue: seq, ID: cmd.id})
	p.wakeQueue(name, "gw.q."+strings.Join(tokens[2:], "."), seq, m)
}

// wakeQueue has a queue look, if its client is here.
func (p *partition) wakeQueue(name, subj string, seq uint64, m *nats.Msg) {
	p.mu.RLock()
	cl := p.clients[name]
	p.mu.RUnlock()
	if cl == nil {
		return
	}
	look := func() {
		defer cl.mu.Unlock()
		for _, s := range cl.subs {
			if s.Name == subj && s.stored(&queued{seq: seq, subj: subj, header: m.Header, data: m.Data}, seq) {
				p.pool.wake(s)
			}
		}
	}
	if cl.mu.TryLock() {
		look()
		return
	}
	go func() { cl.mu.Lock(); look() }() // its record is being written: other notices must not wait for that
}

// told makes an event of what happens to a command.
func (p *partition) told(s *sub, q *queued, event string, attempt int, reason string) {
	if cmd := p.commands.get(q.seq); cmd != nil {
		p.event(api.Event{ClientKey: s.cl.key(), Event: event, Queue: q.seq, ID: cmd.id, Attempt: attempt, Reason: reason})
	}
}

// acked is told for a command that is being deleted because its device has it.
func (p *partition) acked(s *sub, seq uint64) {
	if cmd := p.commands.get(seq); cmd != nil && p.commands.forget(seq) {
		p.event(api.Event{ClientKey: s.cl.key(), Event: api.EventAcked, Queue: seq, ID: cmd.id})
	}
}
