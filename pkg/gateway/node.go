package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/metrics"
	"sluice/pkg/natsx"
	"sluice/pkg/subject"
	"sluice/streams"
)

// Lease of a node: a node that died is known to be dead after leaseTTL; one that
// cannot renew closes its devices, since another node may own them by then.
const (
	leaseTTL   = 10 * time.Second
	leaseEvery = 3 * time.Second
)

// NodeConfig is what a node needs. Its ID must be unique among live processes.
type NodeConfig struct {
	ID       string
	Version  string
	Services []string
	Roots    []string // subjects that GW_DATA stores
	NC       *nats.Conn
	JS       jetstream.JetStream
	Log      *slog.Logger
	Metrics  *metrics.Metrics
}

// holding is a lease with the name of its term: an owner record of an earlier
// term is stale, although it names this node.
type holding struct {
	*natsx.Lease
	unique string
}

// Node is the door's side of one process.
type Node struct {
	NodeConfig
	held           atomic.Pointer[holding]
	pub            *publisher
	router         *router
	bans           *banList
	clientsKV      jetstream.KeyValue
	retainedStream jetstream.Stream
	work           workTimes
	edgeSub        *nats.Subscription

	mu        sync.Mutex
	clients   map[string]*client // by ClientKey.String()
	claims    map[string]*claims // the same
	instances map[string]*Instance

	life context.Context // from Open to Close
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// Open takes the node's lease and starts what the door needs. The streams must
// exist.
func Open(ctx context.Context, c NodeConfig) (_ *Node, err error) {
	n := &Node{NodeConfig: c, work: workTimes{queueAckWait, queueExtend}, clients: map[string]*client{}, claims: map[string]*claims{}, instances: map[string]*Instance{}}
	if n.clientsKV, err = c.JS.KeyValue(ctx, streams.Clients); err != nil {
		return nil, fmt.Errorf("gateway: %s: %w", streams.Clients, err)
	}
	if n.retainedStream, err = c.JS.Stream(ctx, streams.Retained); err != nil {
		return nil, fmt.Errorf("gateway: %s: %w", streams.Retained, err)
	}
	if err = n.acquire(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil { // or the next attempt would wait for the lease to run out
			err = errors.Join(err, n.undo(ctx))
		}
	}()
	if n.bans, err = watchBans(ctx, c.JS); err != nil {
		return nil, fmt.Errorf("gateway: %s: %w", streams.Banned, err)
	}
	if n.pub, err = newPublisher(c.NC, c.Log, c.Metrics, newID()); err != nil {
		return nil, fmt.Errorf("gateway: publisher: %w", err)
	}
	n.router = newRouter(c.NC, c.Metrics)
	if n.edgeSub, err = c.NC.Subscribe(streams.EdgeSubject(c.ID, ">", ""), n.onEdge); err != nil {
		return nil, fmt.Errorf("gateway: edge subject: %w", err)
	}
	n.life, n.stop = context.WithCancel(context.Background())
	n.wg.Go(func() { n.pub.run(n.life) })
	n.wg.Go(func() { n.keepLease(n.life) })
	links := c.NC.Stats().Reconnects
	n.wg.Go(func() { n.resume(n.life, links) })
	n.wg.Go(func() { n.bans.run(n.enforce) })
	return n, nil
}

// undo ends what an Open that failed has begun.
func (n *Node) undo(ctx context.Context) error {
	if n.bans != nil {
		n.bans.close()
	}
	if n.pub != nil {
		_ = n.pub.sub.Unsubscribe() // fails only without a connection, and then there is none
	}
	if n.router != nil {
		n.router.close()
	}
	return n.held.Load().Release(ctx)
}

// Close stops the instances (listeners first, then devices are told goodbye),
// waits for acknowledgements, and gives the lease back.
func (n *Node) Close(ctx context.Context) error {
	n.mu.Lock()
	instances := slices.Collect(maps.Values(n.instances))
	n.mu.Unlock()
	for _, i := range instances {
		if err := i.Stop(ctx); err != nil {
			n.Log.Warn("instance did not stop in time", "instance", i.Name(), "error", err)
		}
	}
	err := n.pub.flush(ctx)
	n.deafen(ctx)
	_ = n.pub.sub.Unsubscribe() // the connection closes next
	n.stop()
	n.bans.close()
	n.router.close()
	n.wg.Wait()
	if rerr := n.held.Load().Release(ctx); rerr != nil && err == nil {
		err = fmt.Errorf("gateway: release lease: %w", rerr)
	}
	return err
}

// deafen ends the node's subscription and waits for the call that is running.
func (n *Node) deafen(ctx context.Context) {
	ended := make(chan struct{})
	n.edgeSub.SetClosedHandler(func(string) { close(ended) })
	if n.edgeSub.Unsubscribe() != nil {
		return // the connection is closed, and nothing runs
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

func (n *Node) acquire(ctx context.Context) error {
	unique := newID()
	value, err := json.Marshal(api.NodeLease{Node: n.ID, Lease: unique, Services: n.Services, Version: n.Version, StartedAt: time.Now().UTC()})
	if err != nil {
		return fmt.Errorf("gateway: lease of node %q: %w", n.ID, err)
	}
	l, err := natsx.Acquire(ctx, n.JS, streams.Nodes, subject.Token(n.ID), value, leaseTTL)
	if err != nil {
		return fmt.Errorf("gateway: lease of node %q: %w", n.ID, err)
	}
	n.held.Store(&holding{l, unique})
	return nil
}

// keepLease renews. When the lease is lost, for instance because this process
// was paused, its devices may be owned by others already: they are closed, and a
// new lease is taken for new ones.
func (n *Node) keepLease(ctx context.Context) {
	for ctx.Err() == nil {
		err := n.held.Load().Keep(ctx, leaseEvery)
		if ctx.Err() != nil {
			return
		}
		n.Log.Warn("node lease lost, closing its devices", "node", n.ID, "error", err)
		n.kickAll(ErrLeaseLost)
		for ctx.Err() == nil {
			if err := n.acquire(ctx); err == nil {
				n.Log.Info("node lease taken again", "node", n.ID)
				break
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

func (n *Node) kickAll(why error) {
	n.mu.Lock()
	all := slices.Collect(maps.Values(n.clients))
	n.mu.Unlock()
	for _, c := range all {
		c.kick(why)
	}
}

// enforce kicks connected clients that a new ban names.
func (n *Node) enforce() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.clients {
		if n.bans.banned(c.info.Client, c.info.Username, c.info.Peer) {
			c.kick(ErrBanned)
		}
	}
}

func (n *Node) find(key string) *client {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.clients[key]
}

// Clients is the number of connected clients.
func (n *Node) Clients() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.clients)
}

// Ready tells why the node cannot take devices now; nil when it can.
func (n *Node) Ready() error {
	if s := n.NC.Status(); s != nats.CONNECTED {
		return fmt.Errorf("NATS is %s", s)
	}
	if !n.held.Load().Valid() {
		return fmt.Errorf("node lease is not held")
	}
	return nil
}
