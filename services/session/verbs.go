package session

import (
	"context"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/pkg/subject"
)

// maxWindow bounds what may be in flight to one subscription.
const maxWindow = 4096

// onInternal logs what natsx could not answer for. A notice, published without
// reply, has been carried out; that nobody can be answered is no error.
func (t *term) onInternal(verb string, err error) {
	text := err.Error()
	if !strings.Contains(text, nats.ErrMsgNoReply.Error()) && !strings.Contains(text, nats.ErrBadSubject.Error()) {
		t.Log.Error("session: internal error", "verb", verb, "error", err)
	}
}

func unavailable(op string, err error) error {
	return api.Wrap(api.Unavailable, op, "the session cannot be changed now, try later", err)
}

func checkSubscribe(r *api.SubscribeRequest) error {
	const op = "subscribe"
	if r.Client == "" || r.Node == "" || r.Epoch == 0 || len(r.Subjects) == 0 {
		return api.Errorf(api.Invalid, op, "client, node, epoch and subjects are needed")
	}
	for _, s := range r.Subjects {
		if subject.Reserved(s) {
			return api.Errorf(api.Invalid, op, "subject %q is not for devices", s)
		}
	}
	r.Subjects = slices.Clone(r.Subjects)
	slices.Sort(r.Subjects)
	r.Subjects = slices.Compact(r.Subjects)
	r.Window = min(max(r.Window, 1), maxWindow)
	return nil
}

// sameSubjects compares lists as [checkSubscribe] leaves them.
func sameSubjects(a, b []string) bool { return slices.Equal(a, b) }

// subscribe implements gw.svc.session.subscribe.
func (t *term) subscribe(ctx context.Context, r api.SubscribeRequest) error {
	if err := checkSubscribe(&r); err != nil {
		return err
	}
	cl := t.client(r.ClientKey)
	defer t.release(cl)
	if err := t.settle(ctx, cl); err != nil {
		return unavailable("subscribe", err)
	}
	if r.Epoch < cl.rec.Epoch {
		return api.Errorf(api.Conflict, "subscribe", "a newer connection owns the session")
	}
	s := cl.subs[r.ID]
	if s != nil && !sameSubjects(s.subjects, r.Subjects) {
		if err := t.replace(ctx, s); err != nil { // another subscription by the same name: what waited is not for it
			return unavailable("subscribe", err)
		}
		s = nil
	}
	fresh := s == nil
	if fresh {
		var err error
		if s, err = t.begin(ctx, cl, r); err != nil {
			return unavailable("subscribe", err)
		}
	}
	if err := t.attach(ctx, s, r); err != nil {
		if fresh {
			t.end(s)
		}
		return unavailable("subscribe", err)
	}
	return nil
}

// begin starts a queue: empty, and from the next message of GW_DATA on.
func (t *term) begin(ctx context.Context, cl *client, r api.SubscribeRequest) (*sub, error) {
	if err := t.empty(ctx, cl.key.QueueSubject(r.ID)); err != nil { // left by one that was cut off
		return nil, err
	}
	info, err := t.data.state(ctx)
	if err != nil {
		return nil, err
	}
	s := t.newSub(cl, r.ID)
	t.idx.add(s, r.Subjects, info.State.LastSeq+1)
	return s, nil
}

// attach writes down where the client is, and begins delivery to it. Its other
// subscriptions, if it was elsewhere before, wait until it asks for them too.
func (t *term) attach(ctx context.Context, s *sub, r api.SubscribeRequest) error {
	cl := s.cl
	moved := r.Epoch != cl.rec.Epoch || r.Node != cl.rec.Node
	next := cl.draft()
	if moved {
		restAll(&next)
	}
	next.Node, next.Epoch = r.Node, r.Epoch
	next.Subs[r.ID] = api.DurableSub{Subjects: s.subjects, FromSeq: s.from, Attached: true, Window: r.Window}
	if err := t.save(ctx, cl, next); err != nil {
		return err
	}
	for _, other := range cl.subs {
		if moved && other != s {
			other.detach()
		}
	}
	s.attach(r.Node, r.Epoch, r.Window)
	t.pool.wake(s)
	return nil
}

// replace forgets one subscription whose name gets another meaning.
func (t *term) replace(ctx context.Context, s *sub) error {
	next := s.cl.draft()
	delete(next.Subs, s.id)
	if err := t.save(ctx, s.cl, next); err != nil {
		return err
	}
	t.end(s)
	return nil // begin empties the queue
}

// unsubscribe implements gw.svc.session.unsubscribe.
func (t *term) unsubscribe(ctx context.Context, r api.UnsubscribeRequest) error {
	cl := t.client(r.ClientKey)
	defer t.release(cl)
	if err := t.settle(ctx, cl); err != nil {
		return unavailable("unsubscribe", err)
	}
	if r.Epoch < cl.rec.Epoch {
		return api.Errorf(api.Conflict, "unsubscribe", "a newer connection owns the session")
	}
	var ended []*sub
	for id, s := range cl.subs {
		if r.ID == "" || r.ID == id {
			ended = append(ended, s)
		}
	}
	if err := t.stop(ctx, cl, r, ended); err != nil {
		return unavailable("unsubscribe", err)
	}
	return nil
}

// stop detaches or forgets. What is not recorded in time is still not delivered.
func (t *term) stop(ctx context.Context, cl *client, r api.UnsubscribeRequest, ended []*sub) error {
	next := cl.draft()
	if r.Epoch > cl.rec.Epoch { // a new connection, that has asked for nothing yet
		restAll(&next)
		for _, s := range cl.subs {
			s.detach()
		}
	}
	changed := len(ended) > 0 || r.Epoch > cl.rec.Epoch
	next.Epoch = r.Epoch
	for _, s := range ended {
		s.detach()
		if r.Forget {
			delete(next.Subs, s.id)
		} else {
			rest(&next, s.id)
		}
	}
	place(&next)
	if changed {
		if err := t.save(ctx, cl, next); err != nil {
			return err
		}
	}
	if !r.Forget {
		return nil
	}
	for _, s := range ended {
		t.end(s)
	}
	if len(ended) == 0 && r.ID != "" { // forgotten before, perhaps, but not purged
		return t.empty(ctx, cl.key.QueueSubject(r.ID))
	}
	for _, s := range ended {
		if err := t.empty(ctx, s.queue); err != nil {
			return err
		}
	}
	return nil
}

// empty purges the queue of a subscription that is not in the index, after the
// copies that were on their way to it.
func (t *term) empty(ctx context.Context, queue string) error {
	if clear := t.lanes.drained(queue); clear != nil {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-clear:
		}
	}
	if !t.lease.Valid() {
		return errLeaseOver
	}
	return t.queue.purge(ctx, queue)
}
