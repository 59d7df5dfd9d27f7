package gateway

import (
	"context"
	"time"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/streams"
)

// lostAfter is how much longer than it said a sleeping device may be away.
const lostAfter = 1.5

// openSession learns what the session service has for a client that comes, and
// has delivery from its main queue begin.
func (c *client) openSession(ctx context.Context, h Hello) error {
	req := api.OpenRequest{
		ClientKey: c.info.ClientKey, Node: c.node.ID, Epoch: c.info.Epoch, Clean: h.Clean && !h.Wake, Wake: h.Wake,
		Window: c.inst.conf.QueueWindow, Retx: c.retx(), Expiry: c.inst.conf.SessionExpiry,
		Queue: h.Commands,
	}
	d := c.addQueue(api.MainQueue, func(ctx context.Context) error {
		again := req
		again.Clean = false // what has come since is not to be forgotten
		_, err := askSession[api.OpenResponse](ctx, c, "open", again)
		return err
	})
	resp, err := askSession[api.OpenResponse](ctx, c, "open", req)
	if err != nil {
		return err
	}
	if !h.Commands && (req.Clean || !resp.Present) {
		c.dropQueue(d) // the first durable subscription makes another
		return nil
	}
	return c.adopt(d, resp)
}

// adopt makes the subscriptions that the session has those of this client. One
// that is not allowed any more is left out, and ends.
func (c *client) adopt(d *durableSub, resp api.OpenResponse) error {
	c.session = Session{Present: true, State: resp.State}
	c.info.CleanStart = c.info.CleanStart || resp.Clean
	for filter, f := range resp.Filters {
		sub := &subscription{
			Subscription: Subscription{ID: filter, Filter: filter, QoS: f.QoS, Durable: true, Main: true},
			durable:      d, settled: true,
		}
		if err := c.resolve(sub); err != nil {
			c.node.Log.Info("subscription of a session is not allowed any more", "client", c.key, "filter", filter, "error", err)
			c.forgetFilter(filter)
			continue
		}
		c.mu.Lock()
		c.subs[filter] = sub
		c.mu.Unlock()
		c.session.Subs = append(c.session.Subs, sub.Subscription)
	}
	return nil
}

// forgetFilter is without answer: failing, it is tried at the next connect.
func (c *client) forgetFilter(filter string) {
	c.noticeSession("unsubscribe", api.UnsubscribeRequest{
		ClientKey: c.info.ClientKey, ID: api.MainQueue, Epoch: c.info.Epoch, Filter: filter, Forget: true,
	})
}

// Session implements [Client].
func (c *client) Session() Session { return c.session }

// Leave implements [Client].
func (c *client) Leave(state []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave = state
}

// Sleep implements [Client].
func (c *client) Sleep(ctx context.Context, s Sleep) error {
	req := api.SleepRequest{
		ClientKey: c.info.ClientKey, Node: c.node.ID, Epoch: c.info.Epoch, Clean: c.info.CleanStart,
		For:   time.Duration(float64(s.For) * lostAfter),
		Leave: api.Leave{State: s.State, Expiry: c.inst.conf.SessionExpiry},
	}
	if s.Will != nil {
		will, err := c.will(*s.Will)
		if err != nil {
			return err
		}
		req.Will = will
	}
	c.mu.Lock()
	for id, sub := range c.subs {
		if sub.Queue || sub.durable != nil && !sub.Main {
			continue // they are what they are
		}
		if req.Filters == nil {
			req.Filters = map[string]api.Filter{}
		}
		req.Filters[id] = api.Filter{QoS: sub.QoS, Subjects: sub.subjects}
	}
	c.mu.Unlock()
	_, err := askSession[struct{}](ctx, c, "sleep", req)
	if err == nil {
		c.asleep.Store(true)
	}
	return err
}

// will dresses a message for the session service, which publishes it when the
// sleeping device is lost.
func (c *client) will(m Message) (*api.Will, error) {
	msg, err := c.outgoing(m)
	if err != nil {
		return nil, err
	}
	w := &api.Will{Subject: msg.Subject, Header: map[string]string{}, Payload: msg.Data, Retain: m.Retain}
	for name := range msg.Header {
		w.Header[name] = msg.Header.Get(name)
	}
	return w, nil
}

// retx is how the session service repeats messages for this client: only edges
// with sessions send again what is not acknowledged.
func (c *client) retx() api.Retx {
	if !c.sessions {
		return api.Retx{}
	}
	return api.Retx{Interval: c.inst.conf.RetxInterval}
}

// askSession repeats while the owner of the client's partition is away: another
// process takes over within seconds. Every attempt has its own time, since the
// answer to one that died with its owner never comes; all verbs may be repeated.
func askSession[Resp any](ctx context.Context, c *client, verb string, req any) (Resp, error) {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	subj := streams.SessionSubject(verb, c.info.ClientKey)
	for {
		resp, err := natsx.CallWithin[any, Resp](ctx, askTimeout, c.node.NC, subj, req)
		if err == nil || api.KindOf(err) != api.Unavailable {
			return resp, err
		}
		select {
		case <-ctx.Done():
			return resp, api.Wrap(api.Unavailable, verb, "the session service does not answer, try later", err)
		case <-time.After(retryPause):
		}
	}
}
