package natsx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"sluice/pkg/api"
	"sluice/streams"
)

const (
	running     = 64   // calls of one endpoint at a time
	waiting     = 1024 // calls that wait for their turn; more are told Busy
	stopTimeout = 5 * time.Second
	// unaskedTimeout is for callers that do not say how long they wait.
	unaskedTimeout = 30 * time.Second
)

// Service is a NATS micro service of this process.
type Service struct {
	name   string
	nc     *nats.Conn
	ms     micro.Service
	ctx    context.Context // of all calls
	cancel context.CancelFunc

	endpoints  sync.Map // name -> *endpoint
	mu         sync.Mutex
	stopping   bool
	calls      sync.WaitGroup
	onInternal func(verb string, err error)
}

// Serve makes a service known to NATS; version is that of the program, in any
// form. The calls it answers are added with [Handle].
func Serve(nc *nats.Conn, name, version, description string) (*Service, error) {
	s := &Service{name: name, nc: nc, onInternal: func(string, error) {}}
	ms, err := micro.AddService(nc, micro.Config{Name: name, Version: semantic(version), Description: description, StatsHandler: s.stats})
	if err != nil {
		return nil, fmt.Errorf("natsx: service %s: %w", name, err)
	}
	s.ms = ms
	s.ctx, s.cancel = context.WithCancel(context.Background()) // a root: only Stop ends it
	return s, nil
}

// OnInternal has f told of every Internal error and panic, whose text callers do
// not see. It is to be set before the first [Handle].
func (s *Service) OnInternal(f func(verb string, err error)) { s.onInternal = f }

// Stop takes no more calls, waits for the running ones for some seconds, then
// cancels their context. It returns an error when some still do not end.
func (s *Service) Stop() error {
	err := s.ms.Stop()
	s.mu.Lock()
	s.stopping = true // what is still being drained is refused: another instance will take it
	s.mu.Unlock()
	defer s.cancel()
	done := make(chan struct{})
	go func() { s.calls.Wait(); close(done) }()
	for range 2 {
		select {
		case <-done:
			return err
		case <-time.After(stopTimeout):
			s.cancel()
		}
	}
	return errors.Join(err, fmt.Errorf("natsx: service %s: calls still running after %s", s.name, 2*stopTimeout))
}

// stats is the data field of an endpoint in the answer to $SRV.STATS.
func (s *Service) stats(of *micro.Endpoint) any {
	v, ok := s.endpoints.Load(of.Name)
	if !ok {
		return nil
	}
	c := &v.(*endpoint).counts
	return struct {
		Calls  int64         `json:"calls"`
		Errors int64         `json:"errors"`
		Time   time.Duration `json:"processing_time"`
	}{c.calls.Load(), c.errors.Load(), time.Duration(c.nanos.Load())}
}

// begin counts a call, unless the service is stopping.
func (s *Service) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.calls.Add(1)
	return true
}

// endpoint is one verb: two semaphores, who is in and who works.
type endpoint struct {
	s        *Service
	verb     string
	in, work chan struct{}
	answer   func(ctx context.Context, data []byte) ([]byte, error)
	counts   counts
}

// counts are in the statistics of the service: those of micro itself see only
// how long it takes to start a goroutine.
type counts struct {
	calls, errors, nanos atomic.Int64
}

// Handle answers a verb of a service, on streams.ServiceSubject(name, verb), in
// one queue group of all its instances. Every call has its own goroutine; up to
// 64 run at a time, so that a slow one does not hold the others up. ctx ends when
// the caller stops waiting and when the service stops. An *api.Error travels to
// the caller as its kind and text; any other error and a panic is Internal.
func Handle[Req, Resp any](s *Service, verb string, h func(ctx context.Context, req Req) (Resp, error)) error {
	e := &endpoint{s: s, verb: verb, in: make(chan struct{}, running+waiting), work: make(chan struct{}, running)}
	e.answer = func(ctx context.Context, data []byte) ([]byte, error) {
		req, err := decode[Req](data)
		if err != nil {
			return nil, err
		}
		resp, err := h(ctx, req)
		if err != nil {
			return nil, err
		}
		return json.Marshal(resp)
	}
	name := strings.ReplaceAll(verb, ".", "-") // endpoint names cannot have dots
	s.endpoints.Store(name, e)
	err := s.ms.AddEndpoint(name, micro.HandlerFunc(e.handle), micro.WithEndpointSubject(streams.ServiceSubject(s.name, verb)))
	if err != nil {
		return fmt.Errorf("natsx: service %s: verb %s: %w", s.name, verb, err)
	}
	return nil
}

// handle runs in the subscription's goroutine and must not block.
func (e *endpoint) handle(r micro.Request) {
	select {
	case e.in <- struct{}{}:
	default:
		e.reply(r.Reply(), nil, api.Errorf(api.Busy, e.verb, "too many calls"))
		return
	}
	if !e.s.begin() {
		<-e.in
		e.reply(r.Reply(), nil, api.Errorf(api.Unavailable, e.verb, "service is stopping"))
		return
	}
	ctx, cancel := context.WithTimeout(e.s.ctx, patience(r.Headers()))
	go func() {
		defer e.s.calls.Done()
		defer func() { <-e.in }()
		defer cancel()
		data, err := e.turn(ctx, r.Data())
		e.reply(r.Reply(), data, err)
	}()
}

// turn waits for a place and does the work.
func (e *endpoint) turn(ctx context.Context, data []byte) ([]byte, error) {
	select {
	case e.work <- struct{}{}:
		defer func() { <-e.work }()
	case <-ctx.Done():
		return nil, api.Errorf(api.Busy, e.verb, "waited too long")
	}
	start := time.Now()
	defer func() { e.counts.nanos.Add(int64(time.Since(start))) }()
	return e.guarded(ctx, data)
}

// reply does not use the request's own Respond and Error: they write to the
// request while micro, which takes a handler that has returned for done, reads
// it. When the caller cannot be told of an error it runs into its time-out;
// there is nobody else to tell.
func (e *endpoint) reply(to string, data []byte, err error) {
	e.counts.calls.Add(1)
	if err == nil && to != "" {
		if err = e.s.nc.Publish(to, data); errors.Is(err, nats.ErrMaxPayload) {
			err = tooLarge(data)
		}
	}
	if err == nil {
		return
	}
	e.counts.errors.Add(1)
	if api.KindOf(err) == api.Internal {
		e.s.onInternal(e.verb, err)
	}
	if to != "" {
		_ = e.s.nc.PublishMsg(errorMsg(to, err))
	}
}

// guarded is answer with panics as errors.
func (e *endpoint) guarded(ctx context.Context, data []byte) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return e.answer(ctx, data)
}

// hdrPatience is how long the caller waits, in milliseconds: a duration, for
// clocks differ.
const hdrPatience = "Gw-Timeout-Ms"

func patience(h micro.Headers) time.Duration {
	ms, err := strconv.ParseInt(h.Get(hdrPatience), 10, 64)
	if err != nil || ms <= 0 || ms > int64(time.Hour/time.Millisecond) {
		return unaskedTimeout
	}
	return time.Duration(ms) * time.Millisecond
}

// decode takes no body for the zero value. Unknown fields are let pass, so that
// a newer caller can talk to an older service.
func decode[T any](data []byte) (v T, err error) {
	if len(data) == 0 {
		return v, nil
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, api.Wrap(api.Invalid, "decode", "request is not understood", err)
	}
	return v, nil
}
