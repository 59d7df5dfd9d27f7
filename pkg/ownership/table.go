package ownership

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/natsx"
	"sluice/pkg/subject"
)

// Keys: <prefix>m.<node> says that a process takes part, <prefix>p.<n> who owns
// a partition.
const (
	memberKey    = "m."
	partitionKey = "p."
)

// NewTable has the leases in a KV bucket, the keys of which begin with prefix:
// "" or a name and a dot.
func NewTable(js jetstream.JetStream, bucket, prefix string) Table {
	return table{js: js, bucket: bucket, member: prefix + memberKey, partition: prefix + partitionKey}
}

type table struct {
	js                jetstream.JetStream
	bucket            string
	member, partition string
}

func (t table) Join(ctx context.Context, node string, ttl time.Duration) (Lease, error) {
	return t.lease(ctx, t.member+subject.Token(node), node, ttl)
}

func (t table) Acquire(ctx context.Context, n int, node string, ttl time.Duration) (Lease, error) {
	return t.lease(ctx, t.partition+strconv.Itoa(n), node, ttl)
}

func (t table) lease(ctx context.Context, key, node string, ttl time.Duration) (Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, ttl/2)
	defer cancel()
	l, err := natsx.Acquire(ctx, t.js, t.bucket, key, []byte(node), ttl)
	if errors.Is(err, natsx.ErrHeld) {
		return nil, ErrHeld
	}
	if err != nil {
		return nil, err
	}
	return lease{l}, nil
}

type lease struct{ *natsx.Lease }

func (l lease) Renew(ctx context.Context) error {
	err := l.Lease.Renew(ctx, nil)
	if errors.Is(err, natsx.ErrLost) {
		return ErrLost
	}
	return err
}

// Watch gives the state after all that is there was seen, and then after each
// change.
func (t table) Watch(ctx context.Context, changed func(State)) error {
	kv, err := t.js.KeyValue(ctx, t.bucket)
	if err != nil {
		return fmt.Errorf("ownership: %s: %w", t.bucket, err)
	}
	w, err := kv.WatchFiltered(ctx, []string{t.member + "*", t.partition + "*"})
	if err != nil {
		return fmt.Errorf("ownership: watch: %w", err)
	}
	defer func() { _ = w.Stop() }() // fails only when it has ended already
	seen := view{partition: t.partition, members: map[string]string{}, held: map[int]string{}}
	for whole := false; ; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e, ok := <-w.Updates():
			if !ok {
				return errors.New("ownership: the watch ended")
			}
			news := false
			if e == nil {
				whole, news = true, true
			} else {
				news = seen.take(e)
			}
			if whole && news {
				changed(seen.state())
			}
		}
	}
}

// view is what a watch has seen.
type view struct {
	partition string            // begins its keys
	members   map[string]string // key -> process
	held      map[int]string
}

// take reports whether something is different now: a renewal is no news.
func (v *view) take(e jetstream.KeyValueEntry) (news bool) {
	node := ""
	if e.Operation() == jetstream.KeyValuePut {
		node = string(e.Value())
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(e.Key(), v.partition)); err == nil {
		news = v.held[n] != node
		v.held[n] = node
		if node == "" {
			delete(v.held, n)
		}
		return news
	}
	news = v.members[e.Key()] != node
	v.members[e.Key()] = node
	if node == "" {
		delete(v.members, e.Key())
	}
	return news
}

func (v *view) state() State {
	return State{Members: slices.Collect(maps.Values(v.members)), Held: maps.Clone(v.held)}
}
