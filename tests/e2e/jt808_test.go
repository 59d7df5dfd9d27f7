package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/sim"
)

// vehicle is a terminal that reports its odometer, each value until it is
// answered, over any number of connections.
type vehicle struct {
	addr, phone string
	confirmed   atomic.Int64
}

func (v *vehicle) drive(ctx context.Context) {
	for ctx.Err() == nil {
		d, err := v.dial(ctx)
		if err != nil {
			continue
		}
		for ctx.Err() == nil {
			n := v.confirmed.Load() + 1
			one, cancel := context.WithTimeout(ctx, 3*time.Second)
			err := d.Report(one, 0x0200, uint16(n), sim.JT808Location(1, 2, uint32(n), time.Unix(n, 0)))
			cancel()
			if err != nil {
				break
			}
			v.confirmed.Store(n)
		}
		_ = d.Close()
	}
}

func (v *vehicle) dial(ctx context.Context) (*sim.JT808, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return sim.DialJT808(ctx, sim.JT808Options{Phone: v.phone, Dial: func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", v.addr)
	}})
}

// vehicles adds a JT/T 808 instance on a port of its own to the cluster.
func (c *cluster) vehicles() (addr string) {
	c.t.Helper()
	addr = "127.0.0.1:" + freePort(c.t)
	text, err := os.ReadFile(c.conf)
	require.NoError(c.t, err)
	more := strings.ReplaceAll(`
gateway.jt808.default {
  allow_anonymous: true
  listener.tcp.default { bind: "ADDR", max_conn_rate: 10000 }
}
`, "ADDR", addr)
	require.NoError(c.t, os.WriteFile(c.conf, append(text, more...), 0o600))
	return addr
}

// odometers are the values that applications have read of a vehicle.
func (c *cluster) odometers(phone string) (all []int64) {
	c.t.Helper()
	for _, body := range c.stored("jt808." + phone + ".0" + phone + ".up") {
		var m struct {
			Body struct{ Extra struct{ Mileage int64 } }
		}
		require.NoError(c.t, json.Unmarshal([]byte(body), &m))
		all = append(all, m.Body.Extra.Mileage)
	}
	return all
}

// TestKillUnderVehicles kills edge and translator in turn in the middle of the
// locations of twenty terminals: every answered one is read by applications
// exactly once, and in order.
func TestKillUnderVehicles(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	addr := c.vehicles()
	spare := c.service("translator-spare", "translator")
	working := c.service("translator", "translator")
	e := c.service("vehicles", "jt808")
	all := make([]*vehicle, 20)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var driving sync.WaitGroup
	total := func() (n int64) {
		for _, v := range all {
			n += v.confirmed.Load()
		}
		return n
	}
	for i := range all {
		all[i] = &vehicle{addr: addr, phone: fmt.Sprintf("139000000%02d", i)}
		driving.Go(func() { all[i].drive(ctx) })
	}
	begin := time.Now()
	for round := range 12 {
		want := total() + 1000
		require.Eventually(t, func() bool { return total() >= want }, patience, 5*time.Millisecond, "no progress")
		if round%2 == 0 {
			e.kill()
			e = c.service(fmt.Sprint("vehicles-", round), "jt808")
			continue
		}
		working.kill()
		working, spare = spare, c.service(fmt.Sprint("translator-", round), "translator")
	}
	rate := float64(total()) / time.Since(begin).Seconds()
	stop()
	driving.Wait()
	for _, v := range all {
		confirmed := v.confirmed.Load()
		var got []int64
		require.Eventually(t, func() bool {
			got = c.odometers(v.phone)
			return len(got) > 0 && got[len(got)-1] >= confirmed
		}, 2*patience, 100*time.Millisecond, "%s: answered, but not translated", v.phone)
		for i, n := range got { // the last one may have been stored and not answered
			require.EqualValues(t, i+1, n, "%s: lost, twice, or out of order", v.phone)
		}
		require.LessOrEqual(t, int64(len(got)), confirmed+1)
	}
	t.Logf("%d locations over 12 kills, %.0f a second", total(), rate)
}
