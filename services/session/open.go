package session

import (
	"context"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/streams"
)

// onOpen implements gw.svc.session.open.<p>: the client has come to a node.
func (p *partition) onOpen(ctx context.Context, cl *client, r api.OpenRequest) (resp api.OpenResponse, err error) {
	if r.Node == "" || r.Epoch == 0 {
		return resp, api.Errorf(api.Invalid, "open", "node and epoch are needed")
	}
	if err := cl.current(r.Epoch); err != nil {
		return resp, err
	}
	if !r.Wake && !p.whole.Load() {
		return resp, errEarly
	}
	if r.Wake && cl.state != api.Asleep && cl.state != api.Awake {
		return resp, api.Errorf(api.NotFound, "open", "the client does not sleep")
	}
	if r.Clean {
		cl.epoch = r.Epoch
		return resp, unavailable(p.forget(ctx, cl))
	}
	rec, err := cl.record()
	if err != nil {
		return resp, err
	}
	resp = api.OpenResponse{Present: cl.rev != 0, State: rec.Edge, Clean: rec.Clean && rec.State == api.Asleep}
	if main, ok := rec.Subs[api.MainQueue]; ok {
		resp.Filters = main.Filters
	}
	if r.Wake {
		p.awake(cl, r)
		return resp, nil
	}
	return resp, unavailable(p.connect(ctx, cl, rec, r))
}

// awake has what waits delivered to a client that sleeps on afterwards. It is
// not written down: an owner after us lets it sleep, and it will wake up again.
func (p *partition) awake(cl *client, r api.OpenRequest) {
	cl.state, cl.node, cl.epoch = api.Awake, r.Node, r.Epoch
	p.wheel.Stop(&cl.clock)
	if main := cl.sub(api.MainQueue); main != nil {
		main.attach(r.Node, r.Epoch, clampWindow(r.Window), r.Retx, true)
		p.pool.wake(main)
		return
	}
	p.tellDrained(cl, api.MainQueue, target{node: r.Node, epoch: r.Epoch})
}

// connect writes down where the client is, and begins delivery of its main
// queue. Durable subscriptions of other ids wait until it asks for them.
func (p *partition) connect(ctx context.Context, cl *client, rec api.Session, r api.OpenRequest) error {
	main := cl.sub(api.MainQueue)
	if main == nil && r.Queue {
		var err error
		if main, err = p.begin(ctx, cl, api.MainQueue, nil); err != nil {
			return err
		}
		rec.Subs[api.MainQueue] = api.DurableSub{FromSeq: main.From(), Filters: map[string]api.Filter{}}
	}
	restAll(&rec)
	if d, ok := rec.Subs[api.MainQueue]; ok {
		d.Attached, d.Window, d.Retx = true, clampWindow(r.Window), r.Retx
		rec.Subs[api.MainQueue] = d
	}
	rec.State, rec.Node, rec.Epoch, rec.Expiry = api.Connected, r.Node, r.Epoch, r.Expiry
	rec.For, rec.Clean, rec.Will = 0, false, nil
	if err := p.save(ctx, cl, rec); err != nil {
		return err
	}
	cl.state, cl.node, cl.epoch = api.Connected, r.Node, r.Epoch // also without a record
	for _, s := range cl.subs {
		if s == main {
			s.attach(r.Node, r.Epoch, clampWindow(r.Window), r.Retx, false)
			p.pool.wake(s)
		} else {
			s.detach()
		}
	}
	return nil
}

// forget ends a session: record, subscriptions and what is queued. It is begun
// by the record, so that an owner after us knows no more than we do.
func (p *partition) forget(ctx context.Context, cl *client) error {
	if cl.rev == 0 && len(cl.subs) == 0 {
		return nil
	}
	if err := p.save(ctx, cl, api.Session{Epoch: cl.epoch, State: api.Offline}); err != nil {
		return err
	}
	for len(cl.subs) > 0 {
		s := cl.subs[0]
		p.end(s)
		if err := p.empty(ctx, &s.Queue); err != nil {
			return err
		}
	}
	return nil
}

// tellDrained says to a node that nothing waits any more.
func (p *partition) tellDrained(cl *client, id string, to target) {
	m := nats.NewMsg(streams.EdgeSubject(to.node, "dn", cl.name))
	m.Header.Set(streams.HdrDrained, "1")
	m.Header.Set(streams.HdrSub, subject.Token(id))
	setEpoch(m, to.epoch)
	if !p.lease.Valid() {
		return
	}
	if err := p.NC.PublishMsg(m); err != nil {
		p.trouble.report("deliver", err) // the node asks again when it hears nothing
	}
}

func clampWindow(n int) int { return min(max(n, 1), maxWindow) }
