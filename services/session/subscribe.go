package session

import (
	"context"
	"maps"
	"slices"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/services/session/fanout"
)

func checkSubjects(subjects []string) ([]string, error) {
	for _, s := range subjects {
		if subject.Reserved(s) {
			return nil, api.Errorf(api.Invalid, "subscribe", "subject %q is not for devices", s)
		}
	}
	subjects = slices.Clone(subjects)
	slices.Sort(subjects)
	return slices.Clip(slices.Compact(subjects)), nil
}

// onSubscribe implements gw.svc.session.subscribe.<p>.
func (p *partition) onSubscribe(ctx context.Context, cl *client, r api.SubscribeRequest) (none struct{}, err error) {
	if r.Node == "" || r.Epoch == 0 || len(r.Subjects) == 0 || r.ID == "" {
		return none, api.Errorf(api.Invalid, "subscribe", "id, node, epoch and subjects are needed")
	}
	if r.Subjects, err = checkSubjects(r.Subjects); err != nil {
		return none, err
	}
	if err := cl.current(r.Epoch); err != nil {
		return none, err
	}
	if !p.whole.Load() {
		return none, errEarly
	}
	rec, err := cl.record()
	if err != nil {
		return none, err
	}
	return none, unavailable(p.subscribe(ctx, cl, rec, r))
}

func (p *partition) subscribe(ctx context.Context, cl *client, rec api.Session, r api.SubscribeRequest) error {
	d, had := rec.Subs[r.ID]
	s := cl.sub(r.ID)
	if r.Filter == "" && s != nil && !slices.Equal(s.Subjects(), r.Subjects) {
		if err := p.replace(ctx, cl, rec, s); err != nil { // another subscription by the same name: what waited is not for it
			return err
		}
		s, had = nil, false
	}
	if !had {
		d = api.DurableSub{}
	}
	if r.Filter != "" {
		d.Filters = maps.Clone(d.Filters)
		if d.Filters == nil {
			d.Filters = map[string]api.Filter{}
		}
		d.Filters[r.Filter] = api.Filter{QoS: r.QoS, Subjects: r.Subjects}
	} else {
		d.Subjects = r.Subjects
	}
	fresh := s == nil
	if fresh {
		var err error
		if s, err = p.begin(ctx, cl, r.ID, subjectsOf(d)); err != nil {
			return err
		}
	} else if r.Filter != "" {
		p.idx.Change(&s.Queue, subjectsOf(d))
	}
	d.FromSeq, d.Attached, d.Window, d.Retx = s.From(), true, clampWindow(r.Window), r.Retx
	if err := p.attach(ctx, cl, rec, s, d, r); err != nil {
		if fresh {
			p.end(s)
		}
		return err
	}
	return nil
}

// begin starts a queue: empty, and from the next message of GW_DATA on.
func (p *partition) begin(ctx context.Context, cl *client, id string, subjects []string) (*sub, error) {
	s := p.newSub(cl, id)
	err := p.empty(ctx, &s.Queue) // left by one that was cut off
	if err == nil && len(subjects) > 0 {
		var seq uint64
		if seq, err = p.data.lastSeq(ctx); err == nil {
			p.idx.Add(&s.Queue, subjects, seq+1)
		}
	}
	if err != nil {
		p.end(s)
		return nil, err
	}
	return s, nil
}

// attach writes down where the client is, and begins delivery to it. Its other
// subscriptions, if it was elsewhere before, wait until it asks for them too. A
// queue that is delivered to this connection goes on as it is.
func (p *partition) attach(ctx context.Context, cl *client, rec api.Session, s *sub, d api.DurableSub, r api.SubscribeRequest) error {
	moved := r.Epoch != cl.epoch || r.Node != cl.node
	was := rec.Subs[s.id]
	if moved {
		restAll(&rec)
	}
	if cl.state != api.Awake {
		rec.State, rec.Node, rec.Epoch = api.Connected, r.Node, r.Epoch
	}
	rec.Expiry = r.Expiry
	rec.Subs[s.id] = d
	if err := p.save(ctx, cl, rec); err != nil {
		return err
	}
	for _, other := range cl.subs {
		if moved && other != s {
			other.detach()
		}
	}
	if moved || !was.Attached || r.Filter == "" || !s.attached() {
		s.attach(r.Node, r.Epoch, d.Window, d.Retx, false)
	}
	p.pool.wake(s)
	return nil
}

func (s *sub) attached() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live != nil && s.live.f.Attached()
}

// replace forgets one subscription whose name gets another meaning. What it has
// queued is purged when the new one begins.
func (p *partition) replace(ctx context.Context, cl *client, rec api.Session, s *sub) error {
	delete(rec.Subs, s.id)
	if err := p.save(ctx, cl, rec); err != nil {
		return err
	}
	p.end(s)
	return nil
}

// empty purges a queue that nothing goes into any more, after the copies that
// were on their way to it.
func (p *partition) empty(ctx context.Context, q *fanout.Queue) error {
	if clear := p.lanes.Drained(q); clear != nil {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-clear:
		}
	}
	if !p.lease.Valid() {
		return errLeaseOver
	}
	return p.queue.purge(ctx, q.Name)
}
