package gateway

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"sluice/streams"
)

// TestPublisherRandomOutages: several devices publish, each its own numbers on
// its own topic, alone, unconfirmed and in batches, while links are lost and the
// server restarts. Whatever happens: what was confirmed is stored once, nothing
// is there twice, and each device's numbers only grow.
func TestPublisherRandomOutages(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	h := newHouse(t)
	link := &cutter{}
	p := h.publisherOn(link.connect(t, h.srv.ClientURL()), func(p *publisher) { p.ackWait = 2 * time.Second })
	const devices, each = 6, 400
	outs := make([]outcomes, devices)
	var wg sync.WaitGroup
	for d := range devices {
		wg.Go(func() { device(t, p, d, each, rand.New(rand.NewPCG(seed, uint64(d))), &outs[d]) })
	}
	r := rand.New(rand.NewPCG(seed, 99))
	for i := range 12 {
		time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
		if i%6 == 3 {
			h.restart()
		} else {
			link.cut()
		}
	}
	wg.Wait()
	require.Eventually(t, p.nc.IsConnected, patience, time.Millisecond)
	confirmed := 0
	for d := range devices {
		told := outs[d].all(t)
		confirmed += check(t, h.stored(streams.Data, fmt.Sprintf("iot.%d", d)), told)
	}
	require.Greater(t, confirmed, devices*each/3, "outages are to be survived")
	require.Zero(t, p.pending())
}

// cutter cuts connections below NATS, where the client does not expect it.
type cutter struct {
	mu   sync.Mutex
	conn net.Conn
}

// Dial implements [nats.CustomDialer].
func (c *cutter) Dial(network, address string) (net.Conn, error) {
	conn, err := net.DialTimeout(network, address, time.Second)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	return conn, err
}

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

// connect makes a connection that can be cut.
func (c *cutter) connect(t *testing.T, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.SetCustomDialer(c), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

// device publishes 0..n-1: every fifth unconfirmed, some in batches. Outcomes of
// unconfirmed ones are under -n-1, those of batches under their first number.
func device(t *testing.T, p *publisher, d, n int, r *rand.Rand, o *outcomes) {
	subj := fmt.Sprintf("iot.%d", d)
	for i := 0; i < n; {
		var err error
		switch k := min(2+r.IntN(5), n-i); {
		case i%5 == 0:
			err = p.publish(msg(subj, i), false, o.of(-i-1))
			k = 1
			i += k
		case r.IntN(30) == 0 && k > 1:
			var batch []*nats.Msg
			for j := range k {
				m := msg(subj, i+j)
				m.Data = append(m.Data, []byte(fmt.Sprintf(" %d %d", i, k))...)
				batch = append(batch, m)
			}
			err = p.publishBatch(batch, o.of(i))
			i += k
		default:
			err = p.publish(msg(subj, i), true, o.of(i))
			i++
		}
		if err != nil {
			t.Error(err)
			return
		}
		if r.IntN(20) == 0 {
			time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
		}
	}
}

// check compares a device's messages in the stream with what it was told.
func check(t *testing.T, stored []string, told map[int]error) (confirmed int) {
	t.Helper()
	have, sizes, parts := map[int]bool{}, map[int]int{}, map[int]int{}
	last := -1
	for _, body := range stored {
		f := strings.Fields(body)
		n, err := strconv.Atoi(f[0])
		require.NoError(t, err)
		require.Greater(t, n, last, "out of order, or twice")
		last, have[n] = n, true
		if len(f) == 3 { // of a batch
			first, _ := strconv.Atoi(f[1])
			sizes[first], _ = strconv.Atoi(f[2])
			parts[first]++
		}
	}
	for n, err := range told {
		if n >= 0 && err == nil {
			confirmed++
			require.True(t, have[n], "%d was confirmed and is not there: %v", n, around(stored, n))
		}
	}
	require.Equal(t, sizes, parts, "batches are there as a whole")
	return confirmed
}

// around is what is stored near a number.
func around(stored []string, n int) (near []string) {
	for _, body := range stored {
		if i, err := strconv.Atoi(strings.Fields(body)[0]); err == nil && i > n-8 && i < n+8 {
			near = append(near, body)
		}
	}
	return near
}
