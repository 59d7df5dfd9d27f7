package authn

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/subject"
)

// PutUser asks gw.svc.authn.user.put to make a user, or to replace what is known
// of one. Without a password an existing user keeps the one it has.
type PutUser struct {
	Scope     string       `json:"scope,omitempty"` // Global when empty, or an instance: stomp.default
	UserID    string       `json:"user_id"`
	Password  api.Password `json:"password,omitempty"`
	Superuser bool         `json:"is_superuser"`
	Rules     []api.Rule   `json:"rules,omitempty"`
}

// DeleteUser asks gw.svc.authn.user.delete.
type DeleteUser struct {
	Scope  string `json:"scope,omitempty"`
	UserID string `json:"user_id"`
}

// ListUsers asks gw.svc.authn.user.list for a page in the order of the keys.
type ListUsers struct {
	Scope string `json:"scope,omitempty"` // "" = all
	Limit int    `json:"limit,omitempty"` // 1..1000, default 100
	After string `json:"after,omitempty"` // Next of the page before
}

// UserInfo is what is told of a user: never the hash.
type UserInfo struct {
	Scope     string     `json:"scope"`
	UserID    string     `json:"user_id"`
	Superuser bool       `json:"is_superuser"`
	Rules     []api.Rule `json:"rules,omitempty"`
	Created   bool       `json:"created,omitempty"` // in the answer to put: there was none before
}

// UserPage is a page of users.
type UserPage struct {
	Data  []UserInfo `json:"data"`
	Next  string     `json:"next,omitempty"`
	Count int        `json:"count"` // on this and other pages
}

const (
	defaultPage = 100
	maxPage     = 1000
	maxRules    = 100
)

func (s *Service) put(ctx context.Context, r PutUser) (UserInfo, error) {
	const op = "user.put"
	scope, err := checkUser(op, r.Scope, r.UserID)
	if err != nil {
		return UserInfo{}, err
	}
	if err := checkRules(op, r.Rules); err != nil {
		return UserInfo{}, err
	}
	key := UserKey(scope, r.UserID)
	old, err := s.kv.Get(ctx, key)
	exists := err == nil
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		return UserInfo{}, api.Wrap(api.Unavailable, op, "users cannot be read now", err)
	}
	hash, err := s.newHash(ctx, op, r.Password, old)
	if err != nil {
		return UserInfo{}, err
	}
	info := UserInfo{Scope: scope, UserID: r.UserID, Superuser: r.Superuser, Rules: r.Rules, Created: !exists}
	if err := s.audit(ctx, op, info); err != nil {
		return UserInfo{}, err
	}
	value, err := json.Marshal(api.User{UserID: r.UserID, Hash: hash, Superuser: r.Superuser, Rules: r.Rules})
	if err != nil {
		return UserInfo{}, err
	}
	var now uint64
	if exists { // by revision: what was read above is what is replaced
		now, err = s.kv.Update(ctx, key, value, old.Revision())
	} else {
		now, err = s.kv.Create(ctx, key, value)
	}
	if err == nil {
		s.users.settle(ctx, key, func(revision uint64) bool { return revision >= now })
	}
	return info, writeError(op, err)
}

// newHash is the hash of the password, or without one that of the old record.
func (s *Service) newHash(ctx context.Context, op string, pw api.Password, old jetstream.KeyValueEntry) (string, error) {
	if pw == "" {
		var user api.User
		if old == nil || json.Unmarshal(old.Value(), &user) != nil {
			return "", api.Errorf(api.Invalid, op, "a new user needs a password")
		}
		return user.Hash, nil
	}
	if len(pw) > maxPassword {
		return "", api.Errorf(api.Invalid, op, "password is longer than %d bytes", maxPassword)
	}
	done, err := s.turn(ctx, op)
	if err != nil {
		return "", err
	}
	defer done()
	return HashPassword(string(pw))
}

func (s *Service) remove(ctx context.Context, r DeleteUser) (bool, error) {
	const op = "user.delete"
	scope, err := checkUser(op, r.Scope, r.UserID)
	if err != nil {
		return false, err
	}
	key := UserKey(scope, r.UserID)
	old, err := s.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, api.Errorf(api.NotFound, op, "no user %q in scope %s", r.UserID, scope)
	}
	if err != nil {
		return false, api.Wrap(api.Unavailable, op, "users cannot be read now", err)
	}
	if err := s.audit(ctx, op, UserInfo{Scope: scope, UserID: r.UserID}); err != nil {
		return false, err
	}
	err = writeError(op, s.kv.Delete(ctx, key, jetstream.LastRevision(old.Revision())))
	if err == nil {
		s.users.settle(ctx, key, func(revision uint64) bool { return revision != old.Revision() })
	}
	return err == nil, err
}

// list reads the bucket and not the memory: an operator who just made a user at
// another instance finds it.
func (s *Service) list(ctx context.Context, r ListUsers) (UserPage, error) {
	const op = "user.list"
	if r.Limit == 0 {
		r.Limit = defaultPage
	}
	if r.Limit < 1 || r.Limit > maxPage {
		return UserPage{}, api.Errorf(api.Invalid, op, "limit must be 1 to %d", maxPage)
	}
	filter := jetstream.AllKeys
	if r.Scope != "" {
		filter = subject.Token(r.Scope) + ".*"
	}
	w, err := s.kv.Watch(ctx, filter, jetstream.IgnoreDeletes())
	if err != nil {
		return UserPage{}, api.Wrap(api.Unavailable, op, "users cannot be read now", err)
	}
	defer func() { _ = w.Stop() }()
	found := newUsers(s.Log)
	if err := found.load(ctx, w); err != nil {
		return UserPage{}, api.Wrap(api.Unavailable, op, "users cannot be read now", err)
	}
	return page(found.all, r), nil
}

func page(all map[string]record, r ListUsers) UserPage {
	keys := make([]string, 0, len(all))
	for k := range all {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	p := UserPage{Data: []UserInfo{}, Count: len(keys)}
	for _, k := range keys {
		scope, user, err := ParseUserKey(k)
		if k <= r.After || err != nil { // a key that is none of ours is nobody's user
			continue
		}
		if len(p.Data) == r.Limit {
			last := p.Data[r.Limit-1]
			p.Next = UserKey(last.Scope, last.UserID)
			break
		}
		p.Data = append(p.Data, UserInfo{Scope: scope, UserID: user, Superuser: all[k].superuser, Rules: all[k].rules})
	}
	return p
}

func checkRules(op string, rules []api.Rule) error {
	if len(rules) > maxRules {
		return api.Errorf(api.TooLarge, op, "more than %d rules", maxRules)
	}
	for i, r := range rules {
		if !slices.Contains([]string{"allow", "deny"}, r.Permission) || !slices.Contains([]string{"publish", "subscribe", "all"}, r.Action) || r.Topic == "" {
			return api.Errorf(api.Invalid, op, "rule %d: want permission allow|deny, action publish|subscribe|all, and a topic", i+1)
		}
	}
	return nil
}

func writeError(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyExists), strings.Contains(err.Error(), "wrong last sequence"):
		return api.Wrap(api.Conflict, op, "somebody else changed this user at the same time", err)
	}
	return api.Wrap(api.Unavailable, op, "users cannot be written now", err)
}

// auditRecord is the body on gw.audit.<who>.<verb>.
type auditRecord struct {
	At   time.Time `json:"at"`
	Who  string    `json:"who"`
	Verb string    `json:"verb"`
	User UserInfo  `json:"user"`
}

// audit writes down what is about to be done. It comes first: what cannot be
// written down is not done.
func (s *Service) audit(ctx context.Context, verb string, user UserInfo) error {
	const who = "cli" // until callers have names
	data, err := json.Marshal(auditRecord{At: time.Now().UTC(), Who: who, Verb: verb, User: user})
	if err != nil {
		return err
	}
	if _, err := s.JS.Publish(ctx, "gw.audit."+who+"."+verb, data); err != nil {
		return api.Wrap(api.Unavailable, verb, "the change cannot be audited now, so it is not made", err)
	}
	return nil
}
