package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/streams"
)

func newClient(key api.ClientKey) *client {
	return &client{key: key, name: key.String(), rec: api.Session{ClientKey: key}, subs: map[string]*sub{}}
}

// loadTries and loadPause are for replicas that are late.
const (
	loadTries = 10
	loadPause = 100 * time.Millisecond
)

// load reads all records. A watch may be served by a replica that lacks the last
// writes of the owner before us: so it is repeated until it has shown what the
// leader says is the last, for a second at most, because the last one may have
// been a marker that is gone since.
func (t *term) load(ctx context.Context) error {
	info, err := t.records.state(ctx)
	if err != nil {
		return err
	}
	for range loadTries {
		last, err := t.loadOnce(ctx)
		if err != nil {
			return err
		}
		if info.Config.Replicas <= 1 || last >= info.State.LastSeq {
			break
		}
		pause(ctx, loadPause)
	}
	return context.Cause(ctx)
}

func (t *term) loadOnce(ctx context.Context) (last uint64, err error) {
	w, err := t.kv.WatchAll(ctx)
	if err != nil {
		return 0, fmt.Errorf("session: load: %w", err)
	}
	defer func() { _ = w.Stop() }() // fails only when it has ended already
	for {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case e, ok := <-w.Updates():
			if !ok {
				return 0, errors.New("session: load: the watch ended")
			}
			if e == nil {
				return last, nil
			}
			last = max(last, e.Revision())
			if e.Operation() == jetstream.KeyValuePut {
				t.loadOne(e.Key(), e.Value(), e.Revision())
			}
		}
	}
}

// loadOne takes what a record says, unless it is known already.
func (t *term) loadOne(name string, value []byte, rev uint64) {
	key, err := api.ParseClientKey(name)
	if err != nil {
		t.Log.Error("session: record ignored", "key", name, "error", err)
		return
	}
	cl := t.client(key)
	defer t.release(cl)
	if rev <= cl.rev {
		return
	}
	if err := t.adopt(cl, value, rev); err != nil {
		t.Log.Error("session: record ignored", "key", name, "error", err)
	}
}

// adopt makes the memory of a session what its record says; nil is no record.
func (t *term) adopt(cl *client, value []byte, rev uint64) error {
	rec := api.Session{ClientKey: cl.key}
	if value != nil {
		if err := json.Unmarshal(value, &rec); err != nil {
			return fmt.Errorf("session: record: %w", err)
		}
	}
	cl.rec, cl.rev, cl.unsure = rec, rev, false
	for id, s := range cl.subs {
		if d, ok := rec.Subs[id]; !ok || !sameSubjects(d.Subjects, s.subjects) || d.FromSeq != s.from {
			t.end(s)
		}
	}
	for id, d := range rec.Subs {
		s := cl.subs[id]
		if s == nil {
			s = t.newSub(cl, id)
			t.idx.restore(s, d.Subjects, d.FromSeq)
		}
		if d.Attached && rec.Node != "" {
			s.attach(rec.Node, rec.Epoch, d.Window)
			t.pool.wake(s)
		} else {
			s.detach()
		}
	}
	return nil
}

// settle learns what the record is after a write whose outcome is not known.
// cl.mu is held, as for all that follows.
func (t *term) settle(ctx context.Context, cl *client) error {
	if !cl.unsure {
		return nil
	}
	q, err := t.records.last(ctx, "$KV."+streams.Sessions+"."+cl.name)
	switch {
	case errors.Is(err, errEmpty):
		return t.adopt(cl, nil, 0)
	case err != nil:
		return err
	case q.header.Get("KV-Operation") != "" || q.header.Get(jetstream.MarkerReasonHeader) != "":
		return t.adopt(cl, nil, 0)
	}
	return t.adopt(cl, q.data, q.seq)
}

// save writes the record, or deletes one without subscriptions, if it is as we
// know it. After an error settle has to look what it is.
func (t *term) save(ctx context.Context, cl *client, next api.Session) error {
	if !t.lease.Valid() {
		return errLeaseOver
	}
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	rev, err := t.write(ctx, cl, next)
	if err != nil {
		cl.unsure = true
		return fmt.Errorf("session: write record: %w", err)
	}
	cl.rec, cl.rev = next, rev
	return nil
}

func (t *term) write(ctx context.Context, cl *client, next api.Session) (uint64, error) {
	if len(next.Subs) == 0 {
		if cl.rev == 0 {
			return 0, nil
		}
		return 0, t.kv.Purge(ctx, cl.name, jetstream.LastRevision(cl.rev), jetstream.PurgeTTL(streams.MarkerTTL))
	}
	value, err := json.Marshal(next)
	if err != nil {
		return 0, err
	}
	if cl.rev == 0 {
		return t.kv.Create(ctx, cl.name, value)
	}
	return t.kv.Update(ctx, cl.name, value, cl.rev)
}

// draft is a copy of the record to be changed and saved.
func (cl *client) draft() api.Session {
	next := cl.rec
	next.Subs = maps.Clone(next.Subs)
	if next.Subs == nil {
		next.Subs = map[string]api.DurableSub{}
	}
	next.Since = time.Now().UTC()
	return next
}

// rest has a record say that one subscription gets nothing more.
func rest(rec *api.Session, id string) {
	if d, ok := rec.Subs[id]; ok {
		d.Attached = false
		rec.Subs[id] = d
	}
}

// restAll is rest for every subscription.
func restAll(rec *api.Session) {
	for id := range rec.Subs {
		rest(rec, id)
	}
}

// place clears the node of a record when nothing is delivered there.
func place(rec *api.Session) {
	for _, d := range rec.Subs {
		if d.Attached {
			return
		}
	}
	rec.Node = ""
}

// recordLoss writes down that a node knows nothing of the client any more.
func (t *term) recordLoss(ctx context.Context, s *sub) (more bool) {
	cl := s.cl
	cl.mu.Lock()
	defer cl.mu.Unlock()
	s.mu.Lock()
	lost := s.lost
	s.mu.Unlock()
	if !lost { // it came back meanwhile
		return true
	}
	err := t.settle(ctx, cl)
	if err == nil && cl.subs[s.id] == s {
		next := cl.draft()
		rest(&next, s.id)
		place(&next)
		err = t.save(ctx, cl, next)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			t.trouble.report("write GW_SESSIONS", err)
		}
		s.f.failed(time.Now())
		return false
	}
	t.trouble.clear("write GW_SESSIONS")
	s.lost = false
	return true
}
