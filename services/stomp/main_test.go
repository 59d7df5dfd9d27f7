package stomp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"sluice/pkg/gateway"
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/wire/stomp"
	"sluice/tests/logs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is one connection with a test on both ends: the device's by a pipe, the
// door's by gatewaytest.
type rig struct {
	*testing.T
	door   *gatewaytest.Door
	conf   *Config
	nc     net.Conn // the device's end
	v      stomp.Version
	frames chan stomp.Frame // closed at the end of the connection
	log    logs.Buffer
	cancel context.CancelCauseFunc
	served chan struct{}

	mu   sync.Mutex
	eols []time.Time // when heart-beats came
}

// dialogue runs a test in virtual time against a served connection.
func dialogue(t *testing.T, test func(*rig), options ...func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, door: &gatewaytest.Door{}, conf: DefaultConfig(), frames: make(chan stomp.Frame, 5000), served: make(chan struct{})}
		for _, o := range options {
			o(r)
		}
		require.NoError(t, r.conf.Validate())
		r.serve()
		defer r.hangUp()
		go r.read()
		test(r)
	})
}

// deaf runs a test whose device reads nothing by itself.
func deaf(t *testing.T, test func(*rig), options ...func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, door: &gatewaytest.Door{}, conf: DefaultConfig(), frames: make(chan stomp.Frame, 5000), served: make(chan struct{})}
		for _, o := range options {
			o(r)
		}
		r.serve()
		defer r.hangUp()
		test(r)
	})
}

func (r *rig) serve() {
	var server net.Conn
	r.nc, server = net.Pipe()
	ctx, cancel := context.WithCancelCause(r.Context())
	r.cancel = cancel
	log := slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e := r.conf.Edge().Stream.(*edge)
	go func() {
		defer close(r.served)
		e.serve(ctx, server, peer{addr: "192.0.2.1:4000"}, r.door, gateway.Env{Log: log})
	}()
}

// hangUp cuts the connection and waits until the edge has let go of it.
func (r *rig) hangUp() {
	_ = r.nc.Close()
	synctest.Wait() // a connection that holds frames back has not seen it
	r.cancel(gateway.ErrShutdown)
	<-r.served
	if c := r.door.Client(); c != nil {
		calls, _ := c.Closed()
		require.Equal(r, 1, calls, "the client is closed once")
	}
}

// read is the device's receiving half; it ends with the connection.
func (r *rig) read() {
	defer close(r.frames)
	codec := stomp.NewReader(readerFunc(r.receive), stomp.Limits{MaxHeaders: 100, MaxHeaderLength: 4096, MaxBodyLength: 1 << 20})
	for {
		f, err := codec.Read()
		if err != nil {
			return
		}
		if v, ok := stomp.ParseVersion(f.Get("version")); ok && f.Command == stomp.CmdConnected {
			codec.SetVersion(v)
		}
		r.frames <- f
	}
}

func (r *rig) receive(p []byte) (int, error) {
	n, err := r.nc.Read(p)
	if n == 1 && p[0] == '\n' {
		r.mu.Lock()
		r.eols = append(r.eols, time.Now())
		r.mu.Unlock()
	}
	return n, err
}

func (r *rig) heartBeats() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]time.Time(nil), r.eols...)
}

// raw writes bytes as they are. A server that has closed may refuse them.
func (r *rig) raw(s string) {
	r.Helper()
	if _, err := r.nc.Write([]byte(s)); !errors.Is(err, io.ErrClosedPipe) {
		require.NoError(r, err)
	}
}

func frame(command string, headers ...string) stomp.Frame {
	f := stomp.Frame{Command: command}
	for i := 0; i < len(headers); i += 2 {
		f.Headers = append(f.Headers, stomp.Header{Name: headers[i], Value: headers[i+1]})
	}
	return f
}

func (r *rig) encode(f stomp.Frame) string {
	b, err := f.Append(nil, r.v)
	require.NoError(r, err)
	return string(b)
}

func (r *rig) send(command string, headers ...string) {
	r.Helper()
	r.raw(r.encode(frame(command, headers...)))
}

func (r *rig) publish(body string, headers ...string) {
	r.Helper()
	f := frame(stomp.CmdSend, headers...)
	f.Body = []byte(body)
	r.raw(r.encode(f))
}

// next is the next frame from the server.
func (r *rig) next() stomp.Frame {
	r.Helper()
	select {
	case f, ok := <-r.frames:
		require.True(r, ok, "the connection has ended")
		return f
	case <-time.After(10 * time.Minute):
		require.Fail(r, "no frame comes")
	}
	return stomp.Frame{}
}

func (r *rig) nothing() {
	r.Helper()
	synctest.Wait()
	select {
	case f, ok := <-r.frames:
		require.Fail(r, "unexpected", "%v %v %v", ok, f, f.Headers)
	default:
	}
}

func (r *rig) receipt(id string) {
	r.Helper()
	f := r.next()
	require.Equal(r, stomp.CmdReceipt, f.Command, "%s %s", f.Get("message"), f.Body)
	require.Equal(r, id, f.Get("receipt-id"))
}

// refused wants an ERROR that says what it should, and then the end.
func (r *rig) refused(text string) stomp.Frame {
	r.Helper()
	f := r.next()
	require.Equal(r, stomp.CmdError, f.Command)
	require.Contains(r, f.Get("message"), text)
	require.True(r, strings.HasPrefix(string(f.Body), f.Get("message")), "%q", f.Body)
	require.Equal(r, "text/plain;charset=utf-8", f.Get("content-type"))
	require.NotEmpty(r, f.Get("content-length"))
	r.ended()
	return f
}

func (r *rig) ended() {
	r.Helper()
	select {
	case f, ok := <-r.frames:
		require.False(r, ok, "%v %v", f, f.Headers)
	case <-time.After(10 * time.Minute):
		require.Fail(r, "the connection does not end")
	}
	<-r.served
}

// connect says CONNECT in a version and returns the answer.
func (r *rig) connect(version string, headers ...string) stomp.Frame {
	r.Helper()
	if version != "1.0" {
		headers = append([]string{"accept-version", version, "host", "sluice"}, headers...)
	}
	r.send(stomp.CmdConnect, headers...)
	f := r.next()
	require.Equal(r, stomp.CmdConnected, f.Command, "%s", f.Body)
	r.v, _ = stomp.ParseVersion(version)
	return f
}

func (r *rig) client() *gatewaytest.Client { return r.door.Client() }

// subscribe subscribes and waits for the receipt.
func (r *rig) subscribe(headers ...string) {
	r.Helper()
	r.send(stomp.CmdSubscribe, append(headers, "receipt", "subscribed")...)
	r.receipt("subscribed")
}

func outcome(t *testing.T, o *gatewaytest.Outcome, calls int, want error) {
	t.Helper()
	synctest.Wait()
	n, err := o.Result()
	require.Equal(t, calls, n, "calls of Done")
	require.ErrorIs(t, err, want)
}
