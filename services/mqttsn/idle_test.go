package mqttsn

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/mqttsn"
)

// idleLink is a link without the memory of a test.
type idleLink struct {
	fakeLink
	out int
}

func (l *idleLink) Send([]byte) error { l.out++; return nil }

// TestIdleDeviceIsSmall: what 10,000 connected devices that have subscribed,
// published and received once cost in this package, their doubles of the door
// and the listener counted with them; and they have neither goroutine nor timer.
func TestIdleDeviceIsSmall(t *testing.T) {
	const devices = 10_000
	synctest.Test(t, func(t *testing.T) {
		door := &idleDoor{}
		s := newServer(DefaultConfig().edge(), door, gateway.Env{})
		s.start(t.Context())
		goroutines := runtime.NumGoroutine()
		before := heap()
		links := make([]*idleLink, devices)
		var buf []byte
		say := func(l *idleLink, p mqttsn.Packet) {
			var err error
			buf, err = p.Append(buf[:0])
			require.NoError(t, err)
			s.packet(l, buf)
		}
		for i := range links {
			l := &idleLink{fakeLink: fakeLink{addr: "192.0.2.1:4000", listener: "udp:default"}}
			links[i] = l
			say(l, connectPacket(fmt.Sprintf("device-%05d", i), true, 60))
			if i%100 == 0 {
				synctest.Wait() // the door decides on so many at a time
			}
		}
		synctest.Wait()
		for _, l := range links {
			say(l, mqttsn.Packet{Type: mqttsn.Subscribe, MsgID: 1, Name: []byte("a/b"), Flags: mqttsn.Flags{QoS: 1}})
		}
		synctest.Wait()
		slices.SortFunc(door.clients, func(a, b *idleClient) int { return strings.Compare(a.hello.ClientID, b.hello.ClientID) })
		for i, l := range links {
			c := door.clients[i]
			c.arrived = true
			c.hello.Notify()
			synctest.Wait()
			say(l, publishPacket(firstTopicID, 1, 1, "x"))
			synctest.Wait()
			require.Equal(t, 3, l.out)
		}
		each := int(heap()-before)/devices - int(unsafe.Sizeof(idleLink{})+unsafe.Sizeof(idleClient{}))
		t.Logf("%d bytes a device", each)
		require.Less(t, each, 1024)
		require.Equal(t, goroutines, runtime.NumGoroutine())
		require.Equal(t, devices, s.wheel.Len())
		time.Sleep(30 * time.Second)
		s.goodbye(gateway.ErrShutdown)
		s.stop()
		require.Zero(t, s.wheel.Len())
	})
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
