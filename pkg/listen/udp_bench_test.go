package listen

import (
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/ipv4"
)

// BenchmarkEcho sends datagrams of 64 bytes back over loopback, in the ways that
// a front could do it. cpu-us/op is the time of all threads, the clients' too,
// which are the same for each.
//
//	go test ./pkg/listen -run - -bench Echo -benchtime 300000x
func BenchmarkEcho(b *testing.B) {
	for _, sockets := range []int{1, 2} {
		b.Run("single/sockets="+strconv.Itoa(sockets), func(b *testing.B) { benchEcho(b, sockets, echoSingle) })
		b.Run("batch32/sockets="+strconv.Itoa(sockets), func(b *testing.B) { benchEcho(b, sockets, echoBatch) })
	}
	b.Run("listener", func(b *testing.B) {
		c := config(UDP)
		c.MaxPacketRate = 0
		l, err := OpenPackets(c, nil, nil)
		require.NoError(b, err)
		served := make(chan error, 1)
		go func() { served <- l.Serve(context.Background(), benchHandler{}) }()
		drive(b, l.Addr())
		require.NoError(b, l.Close())
		require.NoError(b, <-served)
	})
}

type benchHandler struct{}

func (benchHandler) Packet(p *Peer, b []byte) { _ = p.Send(b) }
func (benchHandler) Gone(*Peer, error)        {}

// benchEcho runs one echo for each socket of a listener.
func benchEcho(b *testing.B, sockets int, echo func(*net.UDPConn)) {
	c := config(UDP).normal()
	c.UDP.Sockets = sockets
	all, err := openSockets(c)
	require.NoError(b, err)
	var running sync.WaitGroup
	for _, s := range all {
		running.Go(func() { echo(s) })
	}
	drive(b, all[0].LocalAddr())
	for _, s := range all {
		require.NoError(b, s.Close())
	}
	running.Wait()
}

// drive has 16 clients ask b.N times in all, each with up to 16 datagrams on the way.
func drive(b *testing.B, to net.Addr) {
	const clients, window = 16, 16
	var left atomic.Int64
	left.Store(int64(b.N))
	var running sync.WaitGroup
	before := cpu()
	b.ResetTimer()
	for range clients {
		running.Go(func() {
			c, err := net.DialUDP("udp4", nil, to.(*net.UDPAddr))
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
			buf, flying := make([]byte, 64), 0
			for {
				for flying < window && left.Add(-1) >= 0 {
					_, _ = c.Write(buf)
					flying++
				}
				if flying == 0 {
					return
				}
				_ = c.SetReadDeadline(time.Now().Add(time.Second))
				if _, err := c.Read(buf); err != nil {
					flying = 0 // lost
					continue
				}
				flying--
			}
		})
	}
	running.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/1e3/float64(b.N), "cpu-us/op")
}

// cpu is what the process has used.
func cpu() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func echoSingle(c *net.UDPConn) {
	buf := make([]byte, 65535)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		_, _ = c.WriteToUDPAddrPort(buf[:n], from)
	}
}

func echoBatch(c *net.UDPConn) {
	const size = 32
	p := ipv4.NewPacketConn(c)
	in, out := make([]ipv4.Message, size), make([]ipv4.Message, size)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 2048)}
		out[i].Buffers = make([][]byte, 1)
	}
	for {
		n, err := p.ReadBatch(in, 0)
		if err != nil {
			return
		}
		for i := range n {
			out[i].Buffers[0], out[i].Addr = in[i].Buffers[0][:in[i].N], in[i].Addr
		}
		for sent := 0; sent < n; {
			k, err := p.WriteBatch(out[sent:n], 0)
			if err != nil {
				return
			}
			sent += k
		}
	}
}
