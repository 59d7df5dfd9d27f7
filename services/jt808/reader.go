package jt808

import (
	"errors"
	"net"
	"sync/atomic"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/jt808"
)

const (
	readAhead      = 8
	readSize       = 4 << 10
	strangerBudget = 16 << 10 // bytes before authentication
)

var (
	errPanic  = errors.New("jt808: panic")
	errBudget = errors.New("jt808: too many bytes before authentication")
)

// incoming is a frame, or why there is none. With end it is the reader's last word.
type incoming struct {
	frame jt808.Frame
	err   error
	end   bool
}

// reader is the reading half of a connection. Its goroutine ends with the
// connection, or with stop; done tells when it has.
type reader struct {
	nc     net.Conn
	env    gateway.Env
	split  *jt808.Splitter
	frames chan incoming
	stop   chan struct{}
	done   chan struct{}
	budget int         // bytes that a stranger may still send; the goroutine's own
	known  atomic.Bool // it is none any more
}

func newReader(nc net.Conn, max int, env gateway.Env) *reader {
	r := &reader{
		nc: nc, env: env, split: jt808.NewSplitter(max),
		budget: strangerBudget, frames: make(chan incoming, readAhead), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go r.run()
	return r
}

func (r *reader) run() {
	defer close(r.done)
	defer func() {
		if p := recover(); p != nil {
			r.env.Log.Error("jt808: panic while reading", "panic", p)
			r.give(incoming{err: errPanic, end: true})
		}
	}()
	buf := make([]byte, readSize)
	for {
		n, err := r.nc.Read(buf)
		if n > 0 {
			r.env.Metrics.BytesIn(n)
			if r.budget -= n; r.budget < 0 && !r.known.Load() {
				r.give(incoming{err: errBudget, end: true})
				return
			}
			if !r.chunk(buf[:n]) {
				return
			}
		}
		if err != nil {
			r.give(incoming{err: err, end: true})
			return
		}
	}
}

// chunk gives all frames of a chunk; false when the connection has ended.
func (r *reader) chunk(b []byte) bool {
	r.split.Feed(b)
	for {
		content, err, ok := r.split.Next()
		if !ok {
			return true
		}
		in := incoming{err: err}
		if err == nil {
			in.frame, in.err = jt808.Parse(append([]byte(nil), content...))
		}
		if !r.give(in) {
			return false
		}
	}
}

func (r *reader) give(in incoming) bool {
	select {
	case r.frames <- in:
		return true
	case <-r.stop:
		return false
	}
}

// halt ends the goroutine; the connection must be closed, or nothing be read from
// it any more.
func (r *reader) halt() {
	close(r.stop)
	<-r.done
}
