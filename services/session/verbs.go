package session

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/streams"
)

// Bounds of what edges may ask.
const (
	maxWindow  = 4096 // messages in flight to one queue
	maxCalls   = 4096 // requests of one partition under way; more are told to try later
	verbBudget = 15 * time.Second
)

// serve answers edges for one partition, gw.svc.session.<verb>.<p>, until stop,
// which waits for what has begun.
func (p *partition) serve(ctx context.Context) (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	room := make(chan struct{}, maxCalls)
	var calls sync.WaitGroup
	deaf, err := p.listen(streams.ServiceSubject("session", "*."+strconv.Itoa(p.n)), func(m *nats.Msg) {
		select {
		case room <- struct{}{}:
		default:
			p.answer(m, nil, api.Errorf(api.Busy, "session", "too many calls"))
			return
		}
		calls.Go(func() {
			defer func() { <-room }()
			ctx, done := context.WithTimeout(ctx, verbBudget)
			defer done()
			p.verb(ctx, m)
		})
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return func() {
		deaf()
		grace := time.AfterFunc(drainAnswers, cancel)
		calls.Wait()
		grace.Stop()
		cancel()
	}, nil
}

func (p *partition) verb(ctx context.Context, m *nats.Msg) {
	switch strings.Split(m.Subject, ".")[3] {
	case "open":
		handle(ctx, p, m, p.onOpen)
	case "subscribe":
		handle(ctx, p, m, p.onSubscribe)
	case "unsubscribe":
		handle(ctx, p, m, p.onUnsubscribe)
	case "sleep":
		handle(ctx, p, m, p.onSleep)
	default:
		p.answer(m, nil, api.Errorf(api.NotFound, "session", "no such verb"))
	}
}

// handle decodes, finds the session, locked and settled, and answers.
func handle[Req, Resp any](ctx context.Context, p *partition, m *nats.Msg, f func(context.Context, *client, Req) (Resp, error)) {
	req, err := natsx.Question[Req](m)
	if err != nil {
		p.answer(m, nil, err)
		return
	}
	who, err := natsx.Question[struct{ api.ClientKey }](m)
	if err == nil && (who.Client == "" || who.Partition() != p.n) {
		err = api.Errorf(api.Invalid, "session", "that client is not of partition %d", p.n)
	}
	if err != nil {
		p.answer(m, nil, err)
		return
	}
	cl := p.client(who.String())
	defer p.release(cl)
	if !p.whole.Load() && cl.rev == 0 {
		cl.unsure = true // its record may not have been read yet
	}
	if err := p.settle(ctx, cl); err != nil {
		p.answer(m, nil, unavailable(err))
		return
	}
	resp, err := f(ctx, cl, req)
	p.answer(m, resp, err)
}

func (p *partition) answer(m *nats.Msg, resp any, err error) {
	if m.Reply == "" { // a notice
		return
	}
	if err := natsx.Answer(m, resp, err); err != nil {
		p.Log.Debug("session: answer not sent", "subject", m.Subject, "error", err)
	}
}

func unavailable(err error) error {
	if _, known := err.(*api.Error); known || err == nil { //nolint:errorlint // only as it is
		return err
	}
	return api.Wrap(api.Unavailable, "session", "the session cannot be changed now, try later", err)
}

// current refuses what an older connection asks.
func (cl *client) current(epoch uint64) error {
	if epoch < cl.epoch {
		return api.Errorf(api.Conflict, "session", "a newer connection owns the session")
	}
	return nil
}
