package gateway

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
)

const (
	resumeCheck = time.Second // between looks at the connection
	resumers    = 16          // requests to the session service at a time
)

// resume asks for the delivery of all durable subscriptions again after the
// connection to NATS was lost: the session service ends delivery to a node that
// does not answer for seconds, and the devices, which are still connected,
// would wait for ever. links is the number of reconnects at the start.
func (n *Node) resume(ctx context.Context, links uint64) {
	tick := time.NewTicker(resumeCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if now := n.NC.Stats().Reconnects; now != links && n.NC.Status() == nats.CONNECTED {
			links = now
			n.resumeAll(ctx)
		}
	}
}

func (n *Node) resumeAll(ctx context.Context) {
	work := make(chan *durableSub)
	var wg sync.WaitGroup
	for range resumers {
		wg.Go(func() {
			for d := range work {
				d.resume(ctx)
			}
		})
	}
	for _, d := range n.queues() {
		work <- d
	}
	close(work)
	wg.Wait()
}

// queues are those of all connected clients.
func (n *Node) queues() (out []*durableSub) {
	n.mu.Lock()
	all := slices.Collect(maps.Values(n.clients))
	n.mu.Unlock()
	for _, c := range all {
		c.mu.Lock()
		out = slices.AppendSeq(out, maps.Values(c.queues))
		c.mu.Unlock()
	}
	return out
}

// resume repeats the request that made the subscription until it is answered,
// or the subscription ends. Where delivery had not ended it changes nothing that
// the device sees: what it has is known by its sequence.
func (d *durableSub) resume(ctx context.Context) {
	for again := true; again && ctx.Err() == nil; {
		d.talk.Lock() // after Unsubscribe it would make the subscription anew
		again = false
		if !d.ended() {
			err := d.ask(ctx)
			again = err != nil && api.KindOf(err) == api.Unavailable
			if err != nil && ctx.Err() == nil {
				d.c.node.Log.Warn("durable subscription not resumed", "client", d.c.key, "again", again, "error", err)
			}
		}
		d.talk.Unlock()
	}
}

func (d *durableSub) ended() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}
