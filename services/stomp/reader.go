package stomp

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

const (
	connectBudget = 16 << 10        // bytes a stranger may send until its CONNECT is complete
	lingerBytes   = 1 << 20         // read and thrown away after an ERROR
	linger        = 2 * time.Second // the same in time
	readAhead     = 8               // frames that wait for the owner
)

var (
	errBudget = errors.New("too many bytes before CONNECT")
	errPanic  = errors.New("stomp: panic")
)

// incoming is what the reader hands to the owner; err is its last word.
type incoming struct {
	frame stomp.Frame
	err   error
}

// reader is the reading half of a connection. Its goroutine is started by
// newReader and ended by halt, which waits for it.
//
// After the first frame it stops until resume brings the version by which to
// go on: nothing beyond CONNECT is read from a stranger.
type reader struct {
	nc     net.Conn
	env    gateway.Env
	codec  *stomp.Reader
	frames chan incoming
	resume chan stomp.Version
	stop   chan struct{}
	done   chan struct{}
	start  time.Time
	seen   atomic.Int64 // when the last bytes came, after start
	budget int          // < 0: unlimited; the goroutine's own
}

func newReader(nc net.Conn, l stomp.Limits, env gateway.Env) *reader {
	r := &reader{
		nc: nc, env: env, start: time.Now(), budget: connectBudget,
		frames: make(chan incoming, readAhead), resume: make(chan stomp.Version, 1),
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	r.codec = stomp.NewReader(readerFunc(r.read), l)
	go r.run()
	return r
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// read is the codec's source. Any byte is a sign of life
// (STOMP 1.2 "Heart-beating").
func (r *reader) read(p []byte) (int, error) {
	if r.budget == 0 {
		return 0, errBudget
	}
	if r.budget > 0 {
		p = p[:min(len(p), r.budget)]
	}
	n, err := r.nc.Read(p)
	if n > 0 {
		r.seen.Store(int64(time.Since(r.start)))
		r.env.Metrics.BytesIn(n)
		if r.budget > 0 {
			r.budget -= n
		}
	}
	return n, err
}

// lastSeen is when the last bytes came.
func (r *reader) lastSeen() time.Time { return r.start.Add(time.Duration(r.seen.Load())) }

func (r *reader) run() {
	defer close(r.done)
	r.parse()
	// What the device still sends is read away, so that closing does not reset
	// the connection before it has read our last words. halt sets the deadline.
	<-r.stop
	defer func() { _ = guard(recover(), r.env.Log, nil) }()
	_, _ = io.CopyN(io.Discard, r.nc, lingerBytes)
}

// parse hands frames over until the first error or halt.
func (r *reader) parse() {
	for {
		in := r.next()
		select {
		case r.frames <- in:
		case <-r.stop:
			return
		}
		if in.err != nil {
			return
		}
		if r.budget < 0 {
			continue
		}
		select {
		case v := <-r.resume:
			r.codec.SetVersion(v)
			r.budget = -1
		case <-r.stop:
			return
		}
	}
}

// next reads one frame. A panic here would take the process down: no listener
// guards this goroutine.
func (r *reader) next() (in incoming) {
	defer func() { in.err = guard(recover(), r.env.Log, in.err) }()
	in.frame, in.err = r.codec.Read()
	return in
}

// halt ends the reader. After a farewell the device gets a little time to read
// it and to close.
func (r *reader) halt(farewell bool) {
	deadline := time.Unix(1, 0)
	if farewell {
		deadline = time.Now().Add(linger)
		if half, ok := r.nc.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}
	_ = r.nc.SetReadDeadline(deadline)
	close(r.stop)
	<-r.done
}

// guard turns what recover returned into an error.
func guard(v any, log *slog.Logger, err error) error {
	if v == nil {
		return err
	}
	log.Error("panic", "value", v, "stack", string(debug.Stack()))
	return fmt.Errorf("%w: %v", errPanic, v)
}
