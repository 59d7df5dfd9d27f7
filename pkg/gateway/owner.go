package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/streams"
)

// own makes this node the owner of the client id in the cluster. The revision
// of the record is the epoch: it grows with every owner, so whoever comes later
// wins, and an older owner can neither renew nor delete what a newer one wrote.
//
// A device that wakes up has no owner: with fresh the claim fails with NotFound
// where there is one, so that nobody is sent away for whoever says a client id.
func (n *Node) own(ctx context.Context, c *client, fresh bool) error {
	held := n.held.Load()
	c.held = held
	if !held.Valid() {
		return api.Errorf(api.Unavailable, "connect", "this node has no lease at the moment, try later")
	}
	defer n.claiming(c.key)()
	value, err := json.Marshal(api.Owner{Node: n.ID, Lease: held.unique, Peer: c.info.Peer, ConnectedAt: c.info.ConnectedAt})
	if err != nil {
		return api.Wrap(api.Internal, "connect", "encode the owner", err)
	}
	for try := 0; ; try++ {
		epoch, before, err := n.claim(ctx, c.key, value, fresh)
		if err == nil {
			n.install(c, epoch, before) //nolint:contextcheck // the notice outlives the connect
			if !held.Valid() {          // lost meanwhile, and this client was not there to be told
				c.kick(ErrLeaseLost)
			}
			return nil
		}
		if errors.Is(err, errOwned) {
			if try < freshTries && sleep(ctx, freshPause) == nil {
				continue // the record may be about to be deleted
			}
			return api.Errorf(api.NotFound, "connect", "the client is connected")
		}
		if !errors.Is(err, jetstream.ErrKeyExists) || try == 4 {
			return api.Wrap(api.Unavailable, "connect", "the client id cannot be claimed now, try later", errors.Join(err, context.Cause(ctx)))
		}
	}
}

// How long a claim of a device that wakes up waits for the record of its former
// connection to go.
const (
	freshTries = 40
	freshPause = 50 * time.Millisecond
)

var errOwned = errors.New("gateway: the client has an owner")

// alive tells whether the node of an owner still lives in the term in which it
// wrote the record: an edge that was killed leaves its records.
func (n *Node) alive(ctx context.Context, o api.Owner) bool {
	kv, err := n.JS.KeyValue(ctx, streams.Nodes)
	if err != nil {
		return true
	}
	e, err := kv.Get(ctx, subject.Token(o.Node))
	if err != nil {
		return !errors.Is(err, jetstream.ErrKeyNotFound)
	}
	var lease api.NodeLease
	return json.Unmarshal(e.Value(), &lease) != nil || lease.Lease == o.Lease
}

// sleep waits, or returns why it could not.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// claims are those of one client id that are under way on this node. A newer
// owner may come, and even go, between the claim of a client and its arrival in
// Node.clients, where it would be told.
type claims struct {
	running int
	newer   uint64 // the highest epoch that others have got
}

// claiming notes that a claim begins; the returned function ends it.
func (n *Node) claiming(key string) (done func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.claims[key] == nil {
		n.claims[key] = &claims{}
	}
	n.claims[key].running++
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.claims[key].running--; n.claims[key].running == 0 {
			delete(n.claims, key)
		}
	}
}

// outdate tells the claims under way of a newer owner; called with the lock held.
func (n *Node) outdate(key string, epoch uint64) {
	if now := n.claims[key]; now != nil {
		now.newer = max(now.newer, epoch)
	}
}

// claim writes the owner record; before is the owner that was replaced.
func (n *Node) claim(ctx context.Context, key string, value []byte, fresh bool) (epoch uint64, before *api.Owner, err error) {
	epoch, err = n.clientsKV.Create(ctx, key, value)
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return epoch, nil, err
	}
	e, err := n.clientsKV.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, nil, jetstream.ErrKeyExists // gone meanwhile: try again
	}
	if err != nil {
		return 0, nil, err
	}
	before = &api.Owner{}
	if err := json.Unmarshal(e.Value(), before); err != nil {
		return 0, nil, err
	}
	if fresh && n.alive(ctx, *before) {
		return 0, nil, errOwned
	}
	epoch, err = n.clientsKV.Update(ctx, key, value, e.Revision())
	return epoch, before, err
}

// install makes the client known here and sends the former owner's away.
func (n *Node) install(c *client, epoch uint64, before *api.Owner) {
	n.mu.Lock()
	c.info.Epoch = epoch
	old := n.clients[c.key]
	superseded := n.claims[c.key].newer > epoch // several connects at once: the latest claim stands
	if !superseded {
		n.clients[c.key] = c
		n.outdate(c.key, epoch)
	}
	n.mu.Unlock()
	c.metrics.Connected() // Close counts it out, superseded or not
	switch {
	case superseded:
		c.kick(ErrTakenOver)
	case old != nil:
		old.kick(ErrTakenOver)
	}
	if before != nil && before.Node != n.ID { // also then: each claim sends away the one it replaced
		n.wg.Go(func() { n.sendAway(before.Node, c.key, epoch) })
	}
}

// sendAway tells a former owner of a newer one until it answers. A node that
// cannot be reached for longer than its lease closes its devices by itself.
func (n *Node) sendAway(node, key string, epoch uint64) {
	ctx, cancel := context.WithTimeout(n.life, leaseTTL+leaseEvery)
	defer cancel()
	for pause := retryPause; ; pause *= 2 { // a dead edge may have had ten thousand devices
		m := nats.NewMsg(streams.EdgeSubject(node, "kick", key))
		m.Header.Set(streams.HdrEpoch, strconv.FormatUint(epoch, 10))
		m.Header.Set(streams.HdrReason, "taken_over")
		once, done := context.WithTimeout(ctx, time.Second)
		_, err := n.NC.RequestMsgWithContext(once, m)
		done()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// disown forgets the client and deletes its record if it is still ours. The
// record goes by an ordered publish, not by a request: ten thousand devices may
// leave at once.
func (n *Node) disown(c *client) {
	n.mu.Lock()
	if n.clients[c.key] == c {
		delete(n.clients, c.key)
	}
	n.mu.Unlock()
	m := nats.NewMsg("$KV." + streams.Clients + "." + c.key)
	m.Header.Set("KV-Operation", "PURGE")
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(c.info.Epoch, 10))
	m.Header.Set(jetstream.MsgTTLHeader, strconv.Itoa(int(streams.MarkerTTL/time.Second))+"s")
	if err := n.pub.publish(m, false, nil); err != nil {
		n.Log.Debug("owner record not deleted", "error", err)
	}
}
