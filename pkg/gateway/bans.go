package gateway

import (
	"context"
	"encoding/json"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/streams"
)

// banList is GW_BANNED in memory, kept by a watcher: a connect costs no request.
type banList struct {
	watch jetstream.KeyWatcher

	mu  sync.RWMutex
	all map[string]time.Time // key -> until; zero = for ever
}

// BanKey is the key of a ban in GW_BANNED: <as>.<who>.
func BanKey(as, who string) string { return as + "." + subject.Token(who) }

// watchBans returns when all existing bans are known.
func watchBans(ctx context.Context, js jetstream.JetStream) (*banList, error) {
	kv, err := js.KeyValue(ctx, streams.Banned)
	if err != nil {
		return nil, err
	}
	w, err := kv.WatchAll(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	b := &banList{watch: w, all: map[string]time.Time{}}
	for {
		select {
		case e := <-w.Updates():
			if e == nil {
				return b, nil
			}
			b.apply(e)
		case <-ctx.Done():
			_ = w.Stop()
			return nil, context.Cause(ctx)
		}
	}
}

// run follows the bucket until close; changed is called after each new ban.
func (b *banList) run(changed func()) {
	for e := range b.watch.Updates() {
		if e != nil && b.apply(e) {
			changed()
		}
	}
}

func (b *banList) close() { _ = b.watch.Stop() }

func (b *banList) apply(e jetstream.KeyValueEntry) (added bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ban api.Ban
	if e.Operation() != jetstream.KeyValuePut || json.Unmarshal(e.Value(), &ban) != nil {
		delete(b.all, e.Key())
		return false
	}
	b.all[e.Key()] = ban.Until
	return true
}

// banned tells whether a client id, user or address (ip:port or ip) is kept out.
func (b *banList) banned(clientID, username, peer string) bool {
	host := peer
	if h, _, err := net.SplitHostPort(peer); err == nil {
		host = h
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.all) == 0 {
		return false
	}
	return b.has("clientid", clientID) || b.has("username", username) || b.has("peerhost", host)
}

func (b *banList) has(as, who string) bool {
	until, ok := b.all[BanKey(as, who)]
	return ok && who != "" && (until.IsZero() || time.Now().Before(until))
}
