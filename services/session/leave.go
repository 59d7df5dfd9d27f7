package session

import (
	"context"
	"maps"
	"reflect"
	"time"

	"sluice/pkg/api"
)

// onUnsubscribe implements gw.svc.session.unsubscribe.<p>.
func (p *partition) onUnsubscribe(ctx context.Context, cl *client, r api.UnsubscribeRequest) (none struct{}, err error) {
	if err := cl.current(r.Epoch); err != nil {
		return none, err
	}
	if asleepAgain := r.ID == "" && !r.Forget && cl.state == api.Awake; !asleepAgain && !p.whole.Load() {
		return none, errEarly
	}
	rec, err := cl.record()
	if err != nil {
		return none, err
	}
	switch {
	case r.Filter != "":
		err = p.dropFilter(ctx, cl, rec, r)
	case r.ID == "" && r.Forget:
		cl.epoch = r.Epoch
		err = p.forget(ctx, cl)
	case r.ID == "":
		err = p.goneAway(ctx, cl, rec, r)
	default:
		err = p.stop(ctx, cl, rec, r)
	}
	return none, unavailable(err)
}

// dropFilter takes one filter from a queue; what is queued stays.
func (p *partition) dropFilter(ctx context.Context, cl *client, rec api.Session, r api.UnsubscribeRequest) error {
	d, ok := rec.Subs[r.ID]
	s := cl.sub(r.ID)
	if _, has := d.Filters[r.Filter]; !ok || !has || s == nil {
		return nil
	}
	d.Filters = maps.Clone(d.Filters)
	delete(d.Filters, r.Filter)
	rec.Subs[r.ID] = d
	if err := p.save(ctx, cl, rec); err != nil {
		return err
	}
	p.idx.Change(&s.Queue, subjectsOf(d))
	return nil
}

// goneAway ends delivery to a client that has left its node. One that only woke
// up for a moment sleeps on.
func (p *partition) goneAway(ctx context.Context, cl *client, rec api.Session, r api.UnsubscribeRequest) error {
	for _, s := range cl.subs {
		s.detach()
	}
	if cl.state == api.Awake {
		cl.state, cl.node = api.Asleep, ""
		p.arm(cl, rec, time.Now())
		return nil
	}
	restAll(&rec)
	away(&rec)
	rec.Epoch, rec.Edge, rec.Expiry = r.Epoch, r.State, r.Expiry
	return p.save(ctx, cl, rec)
}

// stop ends delivery of one subscription, or forgets it. What is not recorded in
// time is still not delivered.
func (p *partition) stop(ctx context.Context, cl *client, rec api.Session, r api.UnsubscribeRequest) error {
	if r.Epoch > cl.epoch { // a new connection, that has asked for nothing yet
		restAll(&rec)
		for _, s := range cl.subs {
			s.detach()
		}
	}
	s := cl.sub(r.ID)
	if s != nil {
		s.detach()
	}
	rec.Epoch = r.Epoch
	if r.Forget {
		delete(rec.Subs, r.ID)
	} else {
		rest(&rec, r.ID)
	}
	away(&rec)
	if s != nil || r.Epoch > cl.epoch {
		if err := p.save(ctx, cl, rec); err != nil {
			return err
		}
	}
	if !r.Forget {
		return nil
	}
	if s == nil { // forgotten before, perhaps, but not purged
		return p.queue.purge(ctx, queueSubject(p.n, cl.name, r.ID))
	}
	p.end(s)
	return p.empty(ctx, &s.Queue)
}

// onSleep implements gw.svc.session.sleep.<p>.
func (p *partition) onSleep(ctx context.Context, cl *client, r api.SleepRequest) (none struct{}, err error) {
	if r.For <= 0 || r.Node == "" {
		return none, api.Errorf(api.Invalid, "sleep", "for and node are needed")
	}
	if err := cl.current(r.Epoch); err != nil {
		return none, err
	}
	rec, err := cl.record()
	if err != nil {
		return none, err
	}
	return none, unavailable(p.sleep(ctx, cl, rec, r))
}

func (p *partition) sleep(ctx context.Context, cl *client, rec api.Session, r api.SleepRequest) error {
	was := rec
	was.Subs = maps.Clone(rec.Subs)
	early := !p.whole.Load()
	if early && !p.keeps(rec, r.Filters) {
		return errEarly
	}
	if len(r.Filters) > 0 {
		if err := p.keep(ctx, cl, &rec, r.Filters); err != nil {
			return err
		}
	}
	restAll(&rec)
	rec.State, rec.Node, rec.Epoch = api.Asleep, "", r.Epoch
	rec.For, rec.Clean, rec.Will, rec.Edge, rec.Expiry = r.For, r.Clean, r.Will, r.State, r.Expiry
	if same(was, rec) { // after waking up for a moment: the record needs no new date
		cl.state, cl.node, cl.epoch = api.Asleep, "", r.Epoch
		p.arm(cl, rec, time.Now())
	} else if early {
		return errEarly
	} else if err := p.save(ctx, cl, rec); err != nil {
		return err
	}
	for _, s := range cl.subs {
		s.detach()
	}
	return nil
}

// keeps tells whether a record has these filters already.
func (p *partition) keeps(rec api.Session, filters map[string]api.Filter) bool {
	return len(filters) == 0 || reflect.DeepEqual(rec.Subs[api.MainQueue].Filters, filters)
}

// same tells whether two records differ only in what a sleeping client's need
// not have: the epoch, for nobody is connected.
func same(a, b api.Session) bool {
	a.Epoch, a.Since = b.Epoch, b.Since
	return reflect.DeepEqual(a, b)
}

// keep has everything under these filters go into the main queue.
func (p *partition) keep(ctx context.Context, cl *client, rec *api.Session, filters map[string]api.Filter) error {
	for _, f := range filters {
		if _, err := checkSubjects(f.Subjects); err != nil {
			return err
		}
	}
	d := rec.Subs[api.MainQueue]
	if s := cl.sub(api.MainQueue); s != nil && reflect.DeepEqual(d.Filters, filters) {
		return nil
	}
	d.Filters = filters
	s := cl.sub(api.MainQueue)
	switch {
	case s == nil:
		var err error
		if s, err = p.begin(ctx, cl, api.MainQueue, subjectsOf(d)); err != nil {
			return err
		}
	default:
		p.idx.Change(&s.Queue, subjectsOf(d))
	}
	d.FromSeq = s.From()
	rec.Subs[api.MainQueue] = d
	return nil
}
