package stomp

import (
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

// swift is a door and client that cost nothing.
type swift struct {
	mu     sync.Mutex
	events []gateway.Event
	wake   chan struct{}
}

func newSwift() *swift { return &swift{wake: make(chan struct{}, 1)} }

func (s *swift) Connect(context.Context, gateway.Hello) (gateway.Client, error) { return s, nil }
func (s *swift) Publish(_ context.Context, m gateway.Message) error {
	if m.Confirm {
		s.push(gateway.Event{Kind: gateway.Acked, Tag: m.Tag})
	}
	return nil
}
func (s *swift) PublishBatch(context.Context, []gateway.Message, uint64) error { return nil }
func (s *swift) Report(context.Context, gateway.Report) error                  { return nil }
func (s *swift) Topic(string, func(string) (string, bool)) (string, error)     { return "", nil }
func (s *swift) Subscribe(context.Context, gateway.Subscription) error         { return nil }
func (s *swift) Unsubscribe(context.Context, string, bool) error               { return nil }
func (s *swift) Wake() <-chan struct{}                                         { return s.wake }
func (s *swift) Kicked() <-chan error                                          { return nil }
func (s *swift) Inflight() (n, window int)                                     { return 0, 256 }
func (s *swift) Info() api.ClientInfo                                          { return api.ClientInfo{} }
func (s *swift) Session() gateway.Session                                      { return gateway.Session{} }
func (s *swift) Sleep(context.Context, gateway.Sleep) error                    { return nil }
func (s *swift) Leave([]byte)                                                  {}
func (s *swift) Close(error)                                                   {}
func (s *swift) Take(buf []gateway.Event) []gateway.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	buf = append(buf, s.events...)
	s.events = s.events[:0]
	return buf
}

func (s *swift) push(e gateway.Event) {
	s.mu.Lock()
	s.events = append(s.events, e)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// loopback serves connections over TCP and returns the device's ends.
func loopback(tb testing.TB, door func() gateway.Door, n int) []net.Conn {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	e := DefaultConfig().Edge().Stream.(*edge)
	var wg sync.WaitGroup
	tb.Cleanup(wg.Wait)
	conns := make([]net.Conn, n)
	for i := range conns {
		device, err := net.Dial("tcp", l.Addr().String())
		require.NoError(tb, err)
		server, err := l.Accept()
		require.NoError(tb, err)
		wg.Go(func() { e.serve(context.WithoutCancel(tb.Context()), server, peer{addr: "x"}, door(), gateway.Env{}) })
		_, err = device.Write([]byte("CONNECT\naccept-version:1.2\nhost:h\nheart-beat:10000,10000\n\n\x00"))
		require.NoError(tb, err)
		_, err = device.Read(make([]byte, 1024))
		require.NoError(tb, err)
		conns[i] = device
	}
	tb.Cleanup(func() {
		for _, c := range conns {
			_ = c.Close()
		}
	})
	require.NoError(tb, l.Close())
	return conns
}

func benchmarkSend(b *testing.B, headers ...string) {
	c := loopback(b, func() gateway.Door { return newSwift() }, 1)[0]
	f := frame(stomp.CmdSend, append(headers, "destination", "a/b/c", "content-type", "application/json")...)
	f.Body = make([]byte, 100)
	one, err := f.Append(nil, stomp.V12)
	require.NoError(b, err)
	var burst []byte
	for range 100 {
		burst = append(burst, one...)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, c)
	}()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%100 == 0 {
			_, err = c.Write(burst)
			require.NoError(b, err)
		}
	}
	_, err = c.Write([]byte("DISCONNECT\n\n\x00"))
	require.NoError(b, err)
	<-done // all is processed
}

func BenchmarkSend(b *testing.B)        { benchmarkSend(b) }
func BenchmarkSendReceipt(b *testing.B) { benchmarkSend(b, "receipt", "r-1") }

func BenchmarkDeliver(b *testing.B) {
	s := newSwift()
	c := loopback(b, func() gateway.Door { return s }, 1)[0]
	_, err := c.Write([]byte("SUBSCRIBE\nid:s\ndestination:a\nreceipt:1\n\n\x00"))
	require.NoError(b, err)
	_, err = c.Read(make([]byte, 1024))
	require.NoError(b, err)
	in := &gateway.Inbound{Payload: make([]byte, 100), ContentType: "application/json"}
	done := make(chan struct{}, 1000)
	go func() { _, _ = io.Copy(io.Discard, c) }()
	finished := func(error) { <-done }
	b.ReportAllocs()
	for b.Loop() {
		done <- struct{}{}
		s.push(gateway.Event{Kind: gateway.Delivered, Delivery: gateway.NewDelivery("s", "a", in, finished)})
	}
}

// Ten thousand idle devices must not cost more than 20 KB each; the device's own
// ends of the sockets are counted in here too.
func TestIdleConnectionIsSmall(t *testing.T) {
	const n = 200
	before := inUse()
	conns := loopback(t, func() gateway.Door { return newSwift() }, n)
	for _, c := range conns { // each has worked once
		_, err := c.Write([]byte("SUBSCRIBE\nid:s\ndestination:a\nreceipt:1\n\n\x00SEND\ndestination:a\nreceipt:2\n\nx\x00"))
		require.NoError(t, err)
		_, err = io.ReadAtLeast(c, make([]byte, 1024), 2*len("RECEIPT\nreceipt-id:1\n\n\x00"))
		require.NoError(t, err)
	}
	each := (inUse() - before) / n
	t.Logf("%d bytes for an idle connection", each)
	require.Less(t, each, int64(20_000*raceFactor))
}

func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
