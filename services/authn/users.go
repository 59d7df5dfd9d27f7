package authn

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
)

var errWatchEnded = errors.New("authn: the watch of users ended")

// record is a user as check needs it.
type record struct {
	key       string
	revision  uint64
	hash      passwordHash
	superuser bool
	rules     []api.Rule
}

// users is GW_USERS in memory, kept by a watch.
type users struct {
	log *slog.Logger

	mu      sync.RWMutex
	all     map[string]record
	changed chan struct{} // closed at the next change
}

func newUsers(log *slog.Logger) *users {
	return &users{log: log, all: map[string]record{}, changed: make(chan struct{})}
}

// settle waits until the watch has brought a change: known tells that of the
// user's revision, 0 when there is none. After that, or when ctx ends, whoever
// is answered finds the change in force at this instance.
func (u *users) settle(ctx context.Context, key string, known func(revision uint64) bool) {
	for {
		u.mu.RLock()
		there, next := known(u.all[key].revision), u.changed
		u.mu.RUnlock()
		if there {
			return
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

// load returns when all users that exist are known.
func (u *users) load(ctx context.Context, w jetstream.KeyWatcher) error {
	for {
		select {
		case e, ok := <-w.Updates():
			switch {
			case !ok:
				return errWatchEnded
			case e == nil:
				return nil
			}
			u.apply(e)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// follow applies changes until ctx ends, which is no error.
func (u *users) follow(ctx context.Context, w jetstream.KeyWatcher) error {
	for {
		select {
		case e, ok := <-w.Updates():
			if ctx.Err() != nil {
				return nil //nolint:nilerr // asked to end
			}
			if !ok {
				return errWatchEnded
			}
			if e != nil {
				u.apply(e)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (u *users) apply(e jetstream.KeyValueEntry) {
	var r record
	put := e.Operation() == jetstream.KeyValuePut
	if put {
		r = u.parse(e) // outside the lock
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if put {
		u.all[e.Key()] = r
	} else {
		delete(u.all, e.Key())
	}
	close(u.changed)
	u.changed = make(chan struct{})
}

// parse makes of a record that cannot be used one that no password opens.
func (u *users) parse(e jetstream.KeyValueEntry) record {
	closed := record{key: e.Key(), revision: e.Revision()}
	var user api.User
	if json.Unmarshal(e.Value(), &user) != nil { // its error may quote the value
		u.log.Warn("user record is not understood, its user is refused", "key", e.Key(), "revision", e.Revision())
		return closed
	}
	hash, err := parseHash(user.Hash)
	if err != nil {
		u.log.Warn("user record has no usable password hash, its user is refused", "key", e.Key(), "revision", e.Revision(), "error", err)
		return closed
	}
	return record{key: e.Key(), revision: e.Revision(), hash: hash, superuser: user.Superuser, rules: user.Rules}
}

// find looks in the scope of the instance first.
func (u *users) find(k api.ClientKey, name string) (record, bool) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if r, ok := u.all[UserKey(Scope(k.Proto, k.Instance), name)]; ok {
		return r, true
	}
	r, ok := u.all[UserKey(Global, name)]
	return r, ok
}
