package gateway

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
)

const loopback = `greeting: "hi"
listener.tcp.default { bind: "127.0.0.1:0", enable_authn: false }
listener.tcp.off { bind: "127.0.0.1:0", enable: false }`

// lineDevice is a peer of the line protocol.
type lineDevice struct {
	net.Conn
	in *bufio.Scanner
}

func dialLine(t *testing.T, i *Instance, id string) *lineDevice {
	t.Helper()
	nc, err := net.Dial("tcp", i.Listeners()[0].Bind)
	require.NoError(t, err)
	t.Cleanup(func() { _ = nc.Close() })
	require.NoError(t, nc.SetDeadline(time.Now().Add(patience)))
	_, err = fmt.Fprintln(nc, id)
	require.NoError(t, err)
	return &lineDevice{nc, bufio.NewScanner(nc)}
}

func (d *lineDevice) line() string {
	d.in.Scan()
	return d.in.Text()
}

func TestInstanceServes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	i := h.instance(n, "i", loopback)
	require.Equal(t, "line.i", i.Name())
	car := dialLine(t, i, "car")
	require.Equal(t, "hi 1.2.3 car", car.line())
	l := i.Listeners()
	require.Len(t, l, 1)
	require.Equal(t, "line:tcp:default", l[0].ID)
	require.Equal(t, 1, l[0].Connections)
	again := dialLine(t, i, "car")
	require.Equal(t, "hi 1.2.3 car", again.line())
	require.Equal(t, "bye: "+ErrTakenOver.Error(), car.line())

	_, err := n.Start(t.Context(), lineKind(), "i", conf(t, ""))
	wantKind(t, api.Conflict, err)
	_, err = n.Start(t.Context(), lineKind(), "j", conf(t, fmt.Sprintf("listener.tcp.a.bind: %q\nlistener.tcp.free.bind: \"127.0.0.1:0\"", l[0].Bind)))
	require.ErrorContains(t, err, "line.j: listener.tcp.a")
	require.Len(t, n.Status(), 1, "nothing is left of it")
	off, err := n.Start(t.Context(), lineKind(), "off", conf(t, "enable: false\n"+loopback))
	require.NoError(t, err)
	require.Empty(t, off.Listeners())
	for _, s := range n.Status() {
		require.Equal(t, map[string]string{"i": "running", "off": "stopped"}[s.Instance], s.Status)
	}

	require.NoError(t, i.Stop(t.Context()))
	require.NoError(t, i.Stop(t.Context()))
	require.Equal(t, "bye: "+ErrShutdown.Error(), again.line())
	_, err = net.DialTimeout("tcp", l[0].Bind, time.Second)
	require.Error(t, err)
	require.Len(t, n.Status(), 1)
	require.Zero(t, n.Clients())
	h.instance(n, "i", loopback) // the name is free
}

// TestStatusWhileInstancesStart: an operator may ask at any time.
func TestStatusWhileInstancesStart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	n := h.node("a")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				n.Status()
			}
		}
	})
	for k := range 10 {
		i := h.instance(n, fmt.Sprint("i", k), loopback)
		require.NoError(t, i.Stop(t.Context()))
	}
	close(stop)
	wg.Wait()
	require.Empty(t, n.Status())
}

// TestNodeRun: goodbye to devices, their records and the lease, within grace.
func TestNodeClose(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	nc, js := h.dial()
	cfg := h.node("other").NodeConfig
	cfg.ID, cfg.NC, cfg.JS = "a", nc, js
	n, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	car := dialLine(t, h.instance(n, "i", loopback), "car")
	require.Equal(t, "hi 1.2.3 car", car.line())
	key := api.ClientKey{Proto: "line", Instance: "i", Client: "car"}.String()
	c := n.find(key)
	require.NotNil(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, n.Close(ctx))
	require.Equal(t, "bye: "+ErrShutdown.Error(), car.line())
	o, _ := h.owner(c)
	require.Nil(t, o)
	again, err := Open(t.Context(), cfg) // the lease is free
	require.NoError(t, err)
	require.NoError(t, again.Close(t.Context()))
}
