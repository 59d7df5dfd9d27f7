package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/streams"
)

// loadOne takes what a record says, unless it is known already.
func (p *partition) loadOne(key string, value []byte, rev uint64) (fresh bool) {
	_, name, _ := strings.Cut(key, ".")
	if _, err := api.ParseClientKey(name); err != nil {
		p.Log.Error("session: record ignored", "key", key, "error", err)
		return false
	}
	cl := p.client(name)
	defer p.release(cl)
	if rev <= cl.rev {
		return false
	}
	if err := p.adopt(cl, slices.Clone(value), rev); err != nil {
		p.Log.Error("session: record ignored", "key", key, "error", err)
	}
	return true
}

// adopt makes the memory of a session what its record says; nil is no record.
// cl.mu is held, as for all that follows.
func (p *partition) adopt(cl *client, value []byte, rev uint64) error {
	cl.raw, cl.rev, cl.unsure = value, rev, false
	rec, err := cl.record()
	if err != nil {
		return err
	}
	cl.state, cl.node, cl.epoch = rec.State, rec.Node, max(cl.epoch, rec.Epoch)
	for _, s := range slices.Clone(cl.subs) {
		if d, ok := rec.Subs[s.id]; !ok || p.reads() && !slices.Equal(subjectsOf(d), s.Subjects()) {
			p.end(s)
		}
	}
	for id, d := range rec.Subs {
		s := cl.sub(id)
		if s == nil {
			s = p.newSub(cl, id)
			s.suspects = uint16(clampWindow(d.Window))
			from := max(d.FromSeq, p.pos+1)
			if p.reads() {
				p.idx.Add(&s.Queue, subjectsOf(d), from)
			} else {
				cl.loaded = append(cl.loaded, loaded{s, subjectsOf(d), from})
			}
		}
		if d.Attached && rec.Node != "" {
			s.attach(rec.Node, rec.Epoch, d.Window, d.Retx, false)
		} else {
			s.detach()
		}
	}
	p.arm(cl, rec, time.Now())
	return nil
}

// reads tells whether the fan-out reads for the partition.
func (p *partition) reads() bool {
	select {
	case <-p.joined:
		return true
	default:
		return false
	}
}

// subjectsOf are the subjects that fill a queue, sorted.
func subjectsOf(d api.DurableSub) []string {
	if d.Filters == nil {
		return d.Subjects
	}
	var all []string
	for _, f := range d.Filters {
		all = append(all, f.Subjects...)
	}
	slices.Sort(all)
	return slices.Clip(slices.Compact(all))
}

// queueSubject is api.ClientKey.QueueSubject for a key that is encoded already.
func queueSubject(n int, name, id string) string {
	return "gw.q." + strconv.Itoa(n) + "." + name + "." + subject.Token(id)
}

func (cl *client) recordKey() string { return strconv.Itoa(cl.p.n) + "." + cl.name }

// settle learns what the record is after a write whose outcome is not known.
func (p *partition) settle(ctx context.Context, cl *client) error {
	if !cl.unsure {
		return nil
	}
	q, err := p.records.last(ctx, "$KV."+streams.Sessions+"."+cl.recordKey())
	switch {
	case errors.Is(err, errEmpty):
		return p.adopt(cl, nil, 0)
	case err != nil:
		return err
	case q.header.Get("KV-Operation") != "" || q.header.Get(jetstream.MarkerReasonHeader) != "":
		return p.adopt(cl, nil, 0)
	}
	return p.adopt(cl, q.data, q.seq)
}

// save writes the record, or deletes one that says nothing, if it is as we know
// it. After an error settle has to look what it is.
func (p *partition) save(ctx context.Context, cl *client, next api.Session) error {
	if !p.lease.Valid() {
		return errLeaseOver
	}
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	next.Since = time.Now().UTC()
	var value []byte
	var err error
	if worth(next) {
		if value, err = json.Marshal(next); err != nil {
			return fmt.Errorf("session: write record: %w", err)
		}
	}
	rev, err := p.write(ctx, cl, value)
	if err != nil {
		cl.unsure = true
		return fmt.Errorf("session: write record: %w", err)
	}
	cl.raw, cl.rev = value, rev
	cl.state, cl.node, cl.epoch = next.State, next.Node, max(cl.epoch, next.Epoch)
	p.arm(cl, next, next.Since)
	return nil
}

// worth tells whether a record says anything.
func worth(rec api.Session) bool {
	return len(rec.Subs) > 0 || len(rec.Edge) > 0 || rec.State == api.Asleep
}

func (p *partition) write(ctx context.Context, cl *client, value []byte) (uint64, error) {
	switch {
	case value == nil && cl.rev == 0:
		return 0, nil
	case value == nil:
		return 0, p.sessions.Purge(ctx, cl.recordKey(), jetstream.LastRevision(cl.rev), jetstream.PurgeTTL(streams.MarkerTTL))
	case cl.rev == 0:
		return p.sessions.Create(ctx, cl.recordKey(), value)
	}
	return p.sessions.Update(ctx, cl.recordKey(), value, cl.rev)
}

// rest has a record say that one queue gets nothing delivered.
func rest(rec *api.Session, id string) {
	if d, ok := rec.Subs[id]; ok {
		d.Attached = false
		rec.Subs[id] = d
	}
}

// restAll is rest for every queue.
func restAll(rec *api.Session) {
	for id := range rec.Subs {
		rest(rec, id)
	}
}

// away has a record say that the client is gone, where nothing is delivered to
// any of its queues.
func away(rec *api.Session) {
	for _, d := range rec.Subs {
		if d.Attached {
			return
		}
	}
	rec.Node = ""
	if rec.State != api.Asleep {
		rec.State = api.Offline
	}
}

// recordLoss writes down that a node knows nothing of the client any more.
func (p *partition) recordLoss(ctx context.Context, s *sub) (more bool) {
	cl := s.cl
	cl.mu.Lock()
	defer cl.mu.Unlock()
	s.mu.Lock()
	lost := s.live != nil && s.live.lost
	s.mu.Unlock()
	if !lost || cl.dead { // it came back meanwhile
		return true
	}
	err := p.settle(ctx, cl)
	if err == nil && cl.sub(s.id) == s {
		err = p.writeLoss(ctx, cl, s.id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil {
		return true
	}
	if err != nil {
		if ctx.Err() == nil {
			p.trouble.report("write GW_SESSIONS", err)
		}
		s.live.f.Failed(time.Now())
		return false
	}
	p.trouble.clear("write GW_SESSIONS")
	s.live.lost = false
	s.calm()
	return true
}

func (p *partition) writeLoss(ctx context.Context, cl *client, id string) error {
	rec, err := cl.record()
	if err != nil {
		return err
	}
	if cl.state == api.Awake { // the record says that it sleeps, and so it does
		cl.state, cl.node = api.Asleep, ""
		p.arm(cl, rec, time.Now())
		return nil
	}
	rest(&rec, id)
	away(&rec)
	return p.save(ctx, cl, rec)
}
