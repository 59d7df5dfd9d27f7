package mqttsn

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/stretchr/testify/require"

	"sluice/pkg/gateway"
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/listen"
	"sluice/pkg/wire/mqttsn"
)

// served is an edge behind a real listener; stop ends it as a node does.
func served(t *testing.T, conf *Config, typ, options string) (addr *net.UDPAddr, door *gatewaytest.Door, stop func()) {
	t.Helper()
	c, err := decode(t, "listener."+typ+".default {\n bind: \"127.0.0.1:0\"\n "+options+"\n}")
	require.NoError(t, err)
	l, err := listen.OpenPackets(c.Listener[typ]["default"], nil, nil)
	require.NoError(t, err)
	door = &gatewaytest.Door{}
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		conf.Edge().Packets.ServePackets(ctx, l, door, gateway.Env{})
	}()
	stop = func() {
		cancel(gateway.ErrShutdown)
		<-done
	}
	return l.Addr().(*net.UDPAddr), door, stop
}

// exchange writes a packet, if there is one, and reads the next.
func exchange(t *testing.T, c net.Conn, say *mqttsn.Packet) mqttsn.Packet {
	t.Helper()
	if say != nil {
		b, err := say.Append(nil)
		require.NoError(t, err)
		_, err = c.Write(b)
		require.NoError(t, err)
	}
	buf := make([]byte, 65536)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
	n, err := c.Read(buf)
	require.NoError(t, err)
	p, err := mqttsn.Decode(buf[:n])
	require.NoError(t, err)
	return p
}

func TestServeUDP(t *testing.T) {
	addr, door, stop := served(t, DefaultConfig(), "udp", "")
	defer stop()
	c, err := net.DialUDP("udp", nil, addr)
	require.NoError(t, err)
	defer c.Close()
	hello := connectPacket("dev", true, 60)
	require.Equal(t, mqttsn.Connack, exchange(t, c, &hello).Type)
	short := mqttsn.Packet{Type: mqttsn.Publish, Name: []byte("ab"), MsgID: 7, Flags: mqttsn.Flags{QoS: 1, TopicIDType: mqttsn.Short}, Data: []byte("x")}
	require.Equal(t, puback('a'<<8|'b', 7, 0), exchange(t, c, &short))
	require.Equal(t, c.LocalAddr().String(), door.Hellos()[0].Peer)
	door.Client().Deliver("s", "tt", message(strings.Repeat("x", 30000), 0))
	require.Len(t, exchange(t, c, nil).Data, 30000)
	stop()
	require.Equal(t, mqttsn.Disconnect, exchange(t, c, nil).Type)
	calls, why := door.Client().Closed()
	require.Equal(t, 1, calls)
	require.ErrorIs(t, why, gateway.ErrShutdown)
}

func TestServeDTLS(t *testing.T) {
	psk := filepath.Join(t.TempDir(), "psk")
	require.NoError(t, os.WriteFile(psk, []byte("meter-7:00112233445566778899aabbccddeeff\n"), 0o600))
	addr, door, stop := served(t, DefaultConfig(), "dtls", `dtls_options { psk_file: "`+psk+`" }`)
	defer stop()
	key := []byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer socket.Close()
	c, err := dtls.ClientWithOptions(socket, addr,
		dtls.WithPSK(func([]byte) ([]byte, error) { return key, nil }),
		dtls.WithPSKIdentityHint([]byte("meter-7")), dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8))
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, c.HandshakeContext(ctx))
	hello := connectPacket("dev", true, 60)
	require.Equal(t, mqttsn.Connack, exchange(t, c, &hello).Type)
	require.Equal(t, "meter-7", door.Hellos()[0].Username)
	nap := sleepPacket(60)
	require.Equal(t, mqttsn.Disconnect, exchange(t, c, &nap).Type)
	door.Found = gateway.Session{Present: true, State: door.Client().Sleeps()[0].State}
	sleeping := door.Client()
	b, err := (&mqttsn.Packet{Type: mqttsn.Pingreq, Name: []byte("dev")}).Append(nil)
	require.NoError(t, err)
	_, err = c.Write(b) // the association has outlived the sleep
	require.NoError(t, err)
	require.Eventually(t, func() bool { return door.Client() != sleeping }, 20*time.Second, 5*time.Millisecond)
	door.Client().Drained()
	require.Equal(t, mqttsn.Pingresp, exchange(t, c, nil).Type)
}

// notices is an announcer that writes down.
type notices struct {
	mu   sync.Mutex
	at   []time.Time
	to   []string
	data [][]byte
	fail bool
}

func (n *notices) Broadcast(to *net.UDPAddr, b []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail {
		return errors.New("no network")
	}
	n.at, n.to, n.data = append(n.at, time.Now()), append(n.to, to.String()), append(n.data, b)
	return nil
}

func TestAdvertise(t *testing.T) {
	dialogue(t, func(r *rig) {
		n := &notices{}
		ctx, cancel := context.WithCancel(r.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.srv.advertise(ctx, n) }()
		start := time.Now()
		synctest.Wait()
		n.mu.Lock()
		n.fail = true // once
		n.mu.Unlock()
		time.Sleep(20*time.Minute + time.Second)
		n.mu.Lock()
		n.fail = false
		n.mu.Unlock()
		time.Sleep(40 * time.Minute)
		cancel()
		<-done
		require.Len(t, n.at, 3)
		require.Equal(t, []time.Duration{0, 40 * time.Minute, time.Hour}, []time.Duration{n.at[0].Sub(start), n.at[1].Sub(start), n.at[2].Sub(start)})
		require.Equal(t, "192.0.2.255:1884", n.to[0])
		p, err := mqttsn.Decode(n.data[0])
		require.NoError(t, err)
		require.Equal(t, mqttsn.Packet{Type: mqttsn.Advertise, GwID: 9, Duration: 1200}, p)
	}, func(r *rig) {
		r.conf.GatewayID = 9
		r.conf.Broadcast = Broadcast{Enable: true, Address: "192.0.2.255:1884", Interval: 20 * time.Minute}
	})
}

func TestServeAdvertises(t *testing.T) {
	hears, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer hears.Close()
	conf := DefaultConfig()
	conf.Broadcast = Broadcast{Enable: true, Address: hears.LocalAddr().String(), Interval: time.Hour}
	addr, _, stop := served(t, conf, "udp", "")
	defer stop()
	buf := make([]byte, 100)
	require.NoError(t, hears.SetReadDeadline(time.Now().Add(20*time.Second)))
	n, from, err := hears.ReadFromUDP(buf)
	require.NoError(t, err)
	require.Equal(t, []byte{5, 0, 1, 0x0E, 0x10}, buf[:n])
	require.Equal(t, addr.Port, from.Port, "who hears it knows where the gateway is")
}
