package session

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/metrics"
	"sluice/pkg/natsx"
	"sluice/pkg/wheel"
	"sluice/services/session/fanout"
	"sluice/services/session/queue"
	"sluice/streams"
)

// Config is what a process gives to the service. NC, JS and Node are needed.
type Config struct {
	NC      *nats.Conn
	JS      jetstream.JetStream
	Log     *slog.Logger     // nil = none
	Metrics *metrics.Metrics // nil = none
	Node    string           // of this process, for the leases and for events
	Version string           // a semantic one, for NATS micro; default 0.0.0

	Retx       time.Duration // without an answer a message is sent again, where the edge says nothing else; default 10 s
	NakStep    time.Duration // pause after the n-th delivery was refused is n steps; default 1 s
	MaxDeliver int           // refusals until a message is given up; default 5
	Lost       time.Duration // a node without subscription for so long is gone; default 3 s, negative = at once
	LeaseTTL   time.Duration // of what this process owns; default 6 s
	LeaseEvery time.Duration // between renewals; default 1.5 s
}

// Service is this process's part in the session service: the partitions that it
// owns at this moment.
type Service struct {
	Config
	trouble *trouble
	life    *natsx.Life
	pace    queue.Pace
	inbox   string // of all answers

	data, queue, records messages
	sessions, positions  jetstream.KeyValue

	idx     *fanout.Index
	lanes   *fanout.Lanes
	reader  *reader
	loader  *loader
	pool    *pool
	wheel   *wheel.Wheel[alarm]
	handles *handles
	owned   owned
	expect  atomic.Int64 // partitions that this process has when all have an owner; -1 = not yet
	overdue chan *client // sleeps and sessions that end
}

// tick is the resolution of all timers.
const tick = 10 * time.Millisecond

// New makes a service that does nothing until it runs.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Version = cmp.Or(c.Version, "0.0.0")
	c.Retx = cmp.Or(c.Retx, 10*time.Second)
	c.NakStep = cmp.Or(c.NakStep, time.Second)
	c.MaxDeliver = cmp.Or(c.MaxDeliver, 5)
	c.Lost = cmp.Or(c.Lost, 3*time.Second)
	c.LeaseTTL = cmp.Or(c.LeaseTTL, 6*time.Second)
	c.LeaseEvery = cmp.Or(c.LeaseEvery, 1500*time.Millisecond)
	s := &Service{
		Config: c, trouble: newTrouble(c.Log), life: natsx.NewLife("session"), inbox: c.NC.NewInbox(),
		pace: queue.Pace{Retx: c.Retx, NakStep: c.NakStep, MaxDeliver: c.MaxDeliver, Lost: c.Lost},
		idx:  fanout.NewIndex(), pool: newPool(), handles: newHandles(),
	}
	s.lanes = fanout.NewLanes(s.sendCopy)
	s.reader, s.loader = newReader(s), newLoader(s)
	s.wheel = wheel.New(tick, alarm.ring)
	s.expect.Store(-1)
	s.owned.of = map[int]*partition{}
	s.overdue = make(chan *client, 1024)
	return s
}

// Owned is the number of partitions that this process works for.
func (s *Service) Owned() int { return s.owned.len() }

// Run works until ctx ends. It may be called once.
func (s *Service) Run(ctx context.Context) error { return s.life.Run(ctx, s.run) }

// Ready waits until every partition has an owner that works, here or elsewhere.
func (s *Service) Ready(ctx context.Context) error { return s.life.Ready(ctx) }

// open finds the streams and buckets, however long it takes.
func (s *Service) open(ctx context.Context) error {
	for ctx.Err() == nil {
		err := s.openOnce(ctx)
		if err == nil {
			s.trouble.clear("open streams")
			return nil
		}
		s.trouble.report("open streams", err)
		pause(ctx, hurry)
	}
	return context.Cause(ctx)
}

func (s *Service) openOnce(ctx context.Context) (err error) {
	for name, m := range map[string]*messages{streams.Data: &s.data, streams.Queue: &s.queue, "KV_" + streams.Sessions: &s.records} {
		if *m, err = openMessages(ctx, s.JS, name); err != nil {
			return err
		}
	}
	if s.sessions, err = s.JS.KeyValue(ctx, streams.Sessions); err != nil {
		return err
	}
	s.positions, err = s.JS.KeyValue(ctx, streams.Partitions)
	return err
}

// event publishes without waiting: cut off from NATS, events may be lost,
// messages never.
func (s *Service) event(e api.Event) {
	e.Node, e.At = s.Node, time.Now().UTC()
	data, err := json.Marshal(e)
	if err == nil {
		err = s.NC.Publish(streams.EventSubject(e.Proto, e.Instance, e.Event, e.Client), data)
	}
	if err != nil {
		s.Log.Debug("event not published", "event", e.Event, "error", err)
	}
}
