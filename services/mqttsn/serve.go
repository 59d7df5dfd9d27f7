package mqttsn

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wheel"
	"sluice/pkg/wire/mqttsn"
)

const (
	tick            = 50 * time.Millisecond // of the timers: what is late by so much disturbs nobody
	callTimeout     = 30 * time.Second      // of a call at the door; its own limits are shorter
	shutdownTimeout = 5 * time.Second
	maxJoining      = 512 // devices that the door decides on at a time
)

var (
	errCallTimeout = api.Errorf(api.Unavailable, "mqttsn", "the server does not answer, try later")
	errPanic       = errors.New("fault in the server")
)

// server serves the devices of one listener.
type server struct {
	edge    *edge
	door    gateway.Door
	env     gateway.Env
	began   time.Time
	wheel   *wheel.Wheel[*conn]
	ready   *ready
	scratch sync.Pool // of *scratch
	joining chan struct{}
	asleep  sleepers
	qos3    qos3
	seed    maphash.Seed

	life       context.Context // of all calls and goroutines
	end        context.CancelFunc
	goroutines sync.WaitGroup

	mu      sync.Mutex
	conns   map[*conn]struct{}
	leaving bool
}

// scratch is memory for the time of one step.
type scratch struct {
	events []gateway.Event
	out    []byte
}

func newServer(e *edge, door gateway.Door, env gateway.Env) *server {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{
		edge: e, door: door, env: env, began: time.Now(), ready: newReady(),
		joining: make(chan struct{}, maxJoining), conns: map[*conn]struct{}{}, seed: maphash.MakeSeed(),
		asleep: sleepers{of: map[string]sleeper{}},
	}
	s.scratch.New = func() any { return &scratch{out: make([]byte, 0, 512)} }
	s.wheel = wheel.New(tick, s.ready.put)
	s.qos3.server = s
	return s
}

// now is the server's clock.
func (s *server) now() time.Duration { return time.Since(s.began) }

func (s *server) start(ctx context.Context) {
	s.life, s.end = context.WithCancel(ctx)
	s.goroutines.Go(func() { s.wheel.Run(s.life) })
	for range max(2, runtime.GOMAXPROCS(0)) {
		s.goroutines.Go(s.work)
	}
}

// stop ends what is left after goodbye, and returns when nothing runs any more.
func (s *server) stop() {
	s.end()
	s.ready.close()
	s.qos3.close()
	s.goroutines.Wait()
	s.goodbye(gateway.ErrShutdown) // who came in the middle of it
}

// work is a worker.
func (s *server) work() {
	for {
		c, ok := s.ready.take()
		if !ok {
			return
		}
		c.guard(c.onReady)
	}
}

// goodbye ends all devices; from now on nobody is let in.
func (s *server) goodbye(why error) {
	s.mu.Lock()
	s.leaving = true
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		c.guard(func() { c.lose(why) })
	}
}

// add makes a conn one that goodbye will find; false while the server ends.
func (s *server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.leaving {
		s.conns[c] = struct{}{}
	}
	return !s.leaving
}

func (s *server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// packet takes a datagram of a link (MQTT-SN 1.2 §5.2, §5.5).
func (s *server) packet(l link, b []byte) {
	s.env.Metrics.BytesIn(len(b))
	var node []byte
	if mqttsn.IsForwarded(b) {
		s.env.Metrics.FrameIn(mqttsn.Encapsulated.String())
		f, inner, err := mqttsn.Unwrap(b)
		if err != nil || len(f.NodeID) == 0 {
			s.env.Metrics.FrameError("malformed")
			return
		}
		node, b = f.NodeID, inner
	}
	p, err := mqttsn.Decode(b)
	if errors.Is(err, mqttsn.ErrEmptyClientID) {
		err = nil // the configuration decides
	}
	if err != nil && !errors.Is(err, mqttsn.ErrContent) {
		s.env.Metrics.FrameError("malformed")
		return
	}
	s.env.Metrics.FrameIn(p.Type.String())
	where := at(l, node)
	if c := where.conn(); c != nil && c.packet(&p, err != nil) {
		return
	}
	s.stranger(where, &p, err != nil)
}

// gone is told that a link is lost, and all devices behind it.
func (s *server) gone(l link) {
	st, ok := l.Value().(*station)
	if !ok {
		return
	}
	for _, c := range st.all() {
		c.guard(c.displace)
	}
}

// send encodes a packet and sends it to a place. The error is for those who want
// to know that nobody is there any more.
func (s *server) send(to place, p *mqttsn.Packet) error {
	w := s.scratch.Get().(*scratch)
	defer s.scratch.Put(w)
	b := w.out[:0]
	var err error
	if to.node != "" {
		b, err = mqttsn.Forward{NodeID: []byte(to.node)}.Append(b)
	}
	if err == nil {
		b, err = p.Append(b)
	}
	w.out = b
	if err == nil {
		err = to.link.Send(b)
	}
	if err != nil { // as good as lost on the way: whoever needs an answer asks again
		s.env.Metrics.FrameError("unsent")
		return err
	}
	s.env.Metrics.FrameOut(p.Type.String())
	s.env.Metrics.BytesOut(len(b))
	return nil
}

// guard runs f with the conn locked. A fault of ours ends this device and
// nothing else.
func (c *conn) guard(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() {
		if v := recover(); v != nil {
			c.srv.env.Log.Error("panic", "client", c.id, "value", v, "stack", string(debug.Stack()))
			c.lose(errPanic)
		}
	}()
	f()
}
