package jt808

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"sluice/pkg/gateway"
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/wire/jt808"
	"sluice/tests/logs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is one connection with a test on both ends: the terminal's by a pipe, the
// door's by gatewaytest.
type rig struct {
	*testing.T
	door   *gatewaytest.Door
	conf   *Config
	nc     net.Conn // the terminal's end
	frames chan jt808.Frame
	log    logs.Buffer
	cancel context.CancelCauseFunc
	served chan struct{}
	serial uint16
	phone  jt808.Phone
	newest bool // writes as of 2019
}

// dialogue runs a test in virtual time against a served connection.
func dialogue(t *testing.T, test func(*rig), options ...func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, door: &gatewaytest.Door{}, conf: DefaultConfig(), frames: make(chan jt808.Frame, 5000), served: make(chan struct{})}
		r.conf.AllowAnonymous = true
		for _, o := range options {
			o(r)
		}
		require.NoError(t, r.conf.Validate())
		r.use("13912345678")
		r.serve()
		defer r.hangUp()
		go r.read()
		test(r)
	})
}

func (r *rig) use(phone string) {
	var err error
	r.phone, err = jt808.ParsePhone(phone, r.newest)
	require.NoError(r, err)
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

func (r *rig) hangUp() {
	_ = r.nc.Close()
	synctest.Wait()
	r.cancel(gateway.ErrShutdown)
	<-r.served
	if c := r.door.Client(); c != nil {
		calls, _ := c.Closed()
		require.Equal(r, 1, calls, "the client is closed once")
	}
}

func (r *rig) read() {
	defer close(r.frames)
	s := jt808.NewSplitter(0)
	buf := make([]byte, 4096)
	for {
		n, err := r.nc.Read(buf)
		s.Feed(append([]byte(nil), buf[:n]...))
		for {
			content, bad, ok := s.Next()
			if !ok {
				break
			}
			require.NoError(r, bad)
			f, bad := jt808.Parse(append([]byte(nil), content...))
			require.NoError(r, bad)
			r.frames <- f
		}
		if err != nil {
			return
		}
	}
}

// write sends bytes as they are.
func (r *rig) write(b []byte) {
	_, err := r.nc.Write(b)
	require.NoError(r, err)
}

// send sends a message and tells its serial number.
func (r *rig) send(id uint16, body []byte) uint16 {
	r.serial++
	r.frame(jt808.Frame{Header: jt808.Header{ID: id, Phone: r.phone, Serial: r.serial, Versioned: r.newest, Version: 1}, Body: body})
	return r.serial
}

func (r *rig) frame(f jt808.Frame) {
	wire, err := jt808.Append(nil, f)
	require.NoError(r, err)
	r.write(wire)
}

// next is what the platform sends next; nothing within a second is a failure.
func (r *rig) next() jt808.Frame {
	r.Helper()
	select {
	case f, ok := <-r.frames:
		require.True(r, ok, "the connection has ended: %s", r.log.String())
		return f
	case <-time.After(time.Second):
		require.FailNow(r, "nothing comes", r.log.String())
		return jt808.Frame{}
	}
}

// quiet is that nothing comes.
func (r *rig) quiet() {
	r.Helper()
	synctest.Wait()
	select {
	case f, ok := <-r.frames:
		require.False(r, ok, "unexpected 0x%04X %x", f.ID, f.Body)
	default:
	}
}

// general is that the platform answers a message so.
func (r *rig) general(serial, id uint16, result byte) {
	r.Helper()
	f := r.next()
	require.Equal(r, "0x8001", name(f.ID))
	require.Equal(r, hex.EncodeToString(append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, serial), id), result)), hex.EncodeToString(f.Body))
}

// enter authenticates.
func (r *rig) enter() *gatewaytest.Client {
	r.Helper()
	body := []byte(anonymousCode)
	if r.newest {
		body = append([]byte{byte(len(anonymousCode))}, body...)
	}
	r.general(r.send(0x0102, body), 0x0102, resultOK)
	return r.door.Client()
}

// ended is that the connection was closed, and the client with a reason.
func (r *rig) ended(reason error) {
	r.Helper()
	select {
	case <-r.served:
	case <-time.After(10 * time.Minute):
		require.FailNow(r, "the connection does not end")
	}
	if c := r.door.Client(); c != nil {
		_, why := c.Closed()
		require.ErrorIs(r, why, reason)
	}
}

func location(mileage byte) []byte {
	return append(make([]byte, 22), 0x26, 0x11, 0x24, 0x10, 0, 0, 1, 4, 0, 0, 0, mileage)
}
