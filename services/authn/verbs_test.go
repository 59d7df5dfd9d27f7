package authn

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

func TestUserVerbs(t *testing.T) {
	h := open(t)
	rules := []api.Rule{{Permission: "allow", Action: "all", Topic: "a/#"}}
	made, err := call[PutUser, UserInfo](t, h, "user.put", PutUser{UserID: "ann", Password: "one", Superuser: true, Rules: rules})
	require.NoError(t, err)
	require.Equal(t, UserInfo{Scope: Global, UserID: "ann", Superuser: true, Rules: rules, Created: true}, made)

	changed, err := call[PutUser, UserInfo](t, h, "user.put", PutUser{UserID: "ann"}) // keeps the password
	require.NoError(t, err)
	require.False(t, changed.Created)
	require.Eventually(t, func() bool {
		got, err := h.ask(t, request("ann", "one", false))
		return err == nil && got.Allow && !got.Superuser
	}, 5*time.Second, 10*time.Millisecond)

	for i := range 5 {
		_, err := call[PutUser, UserInfo](t, h, "user.put", PutUser{Scope: "stomp.default", UserID: fmt.Sprint("u", i), Password: "pw"})
		require.NoError(t, err)
	}
	var names []string
	for after := ""; ; {
		p, err := call[ListUsers, UserPage](t, h, "user.list", ListUsers{Limit: 2, After: after})
		require.NoError(t, err)
		require.Equal(t, 6, p.Count)
		for _, u := range p.Data {
			names = append(names, u.Scope+"/"+u.UserID)
		}
		if after = p.Next; after == "" {
			break
		}
	}
	require.Equal(t, []string{"global/ann", "stomp.default/u0", "stomp.default/u1", "stomp.default/u2", "stomp.default/u3", "stomp.default/u4"}, names)
	p, err := call[ListUsers, UserPage](t, h, "user.list", ListUsers{Scope: "stomp.default"})
	require.NoError(t, err)
	require.Len(t, p.Data, 5)

	ok, err := call[DeleteUser, bool](t, h, "user.delete", DeleteUser{Scope: "stomp.default", UserID: "u0"})
	require.NoError(t, err)
	require.True(t, ok)
	_, err = call[DeleteUser, bool](t, h, "user.delete", DeleteUser{Scope: "stomp.default", UserID: "u0"})
	require.Equal(t, api.NotFound, api.KindOf(err))
	require.Equal(t, []string{"user.put", "user.put", "user.put", "user.put", "user.put", "user.put", "user.put", "user.delete"}, h.audited(t))
}

func TestUserVerbsRefuse(t *testing.T) {
	h := open(t)
	for name, r := range map[string]PutUser{
		"no user":          {Password: "x"},
		"no password":      {UserID: "new"},
		"long password":    {UserID: "new", Password: api.Password(strings.Repeat("x", maxPassword+1))},
		"bad scope":        {UserID: "new", Password: "x", Scope: "stomp"},
		"bad permission":   {UserID: "new", Password: "x", Rules: []api.Rule{{Permission: "maybe", Action: "all", Topic: "a"}}},
		"bad action":       {UserID: "new", Password: "x", Rules: []api.Rule{{Permission: "deny", Action: "eat", Topic: "a"}}},
		"rule w/o a topic": {UserID: "new", Password: "x", Rules: []api.Rule{{Permission: "deny", Action: "all"}}},
	} {
		_, err := call[PutUser, UserInfo](t, h, "user.put", r)
		require.Equal(t, api.Invalid, api.KindOf(err), "%s: %v", name, err)
	}
	_, err := call[ListUsers, UserPage](t, h, "user.list", ListUsers{Limit: maxPage + 1})
	require.Equal(t, api.Invalid, api.KindOf(err))
	p, err := call[ListUsers, UserPage](t, h, "user.list", ListUsers{})
	require.NoError(t, err)
	require.NotNil(t, p.Data)
	require.Empty(t, p.Data)
	require.Empty(t, h.audited(t))
}

// What cannot be audited is not done.
func TestNoChangeWithoutAudit(t *testing.T) {
	h := open(t)
	require.NoError(t, h.js.DeleteStream(t.Context(), streams.Audit))
	_, err := call[PutUser, UserInfo](t, h, "user.put", PutUser{UserID: "ann", Password: "x"})
	require.Equal(t, api.Unavailable, api.KindOf(err))
	p, err := call[ListUsers, UserPage](t, h, "user.list", ListUsers{})
	require.NoError(t, err)
	require.Empty(t, p.Data)
}

const canary = "c4n4ry-S3cret"

// No way through the service leaves the password or a hash anywhere but in the
// record itself.
func TestNoSecretLeaks(t *testing.T) {
	h := open(t)
	var seen []string
	say := func(v any, err error) {
		data, jerr := json.Marshal(v)
		require.NoError(t, jerr)
		seen = append(seen, string(data), fmt.Sprint(err), fmt.Sprintf("%+v", v))
	}
	put := func(r PutUser) {
		say(call[PutUser, UserInfo](t, h, "user.put", r))
		seen = append(seen, fmt.Sprintf("%v %+v %#v", r, r, r))
	}
	put(PutUser{UserID: "ann", Password: canary})
	put(PutUser{UserID: "", Password: canary})
	put(PutUser{UserID: "bob", Password: canary, Scope: "??"})
	put(PutUser{UserID: "bob", Password: api.Password(strings.Repeat(canary, 1000))})
	h.store(t, UserKey(Global, "raw"), api.User{UserID: "raw", Hash: "$argon2id$v=19$m=4194304,t=1,p=1$" + canary + "$" + canary})
	kv, err := h.js.KeyValue(t.Context(), streams.Users)
	require.NoError(t, err)
	_, err = kv.PutString(t.Context(), "global.broken", `{"password_hash": 1, "user_id": "`+canary)
	require.NoError(t, err)
	for _, user := range []string{"ann", "raw", "broken", "zoe", ""} {
		for _, pw := range []string{canary, canary + "-wrong"} {
			say(h.ask(t, request(user, pw, false)))
		}
	}
	say(call[ListUsers, UserPage](t, h, "user.list", ListUsers{}))
	say(call[string, UserInfo](t, h, "user.put", canary)) // not an object
	say(call[map[string]any, api.AuthResponse](t, h, "check", map[string]any{"password": 1, "username": []string{canary}}))
	say(call[DeleteUser, bool](t, h, "user.delete", DeleteUser{UserID: "ann"}))
	for _, m := range h.auditBodies(t) {
		seen = append(seen, string(m))
	}
	seen = append(seen, h.log.String())
	for _, text := range seen {
		require.NotContains(t, text, canary)
		require.NotContains(t, text, "$argon2id$")
	}
}

func (h *house) audited(t *testing.T) (verbs []string) {
	t.Helper()
	for _, data := range h.auditBodies(t) {
		var r auditRecord
		require.NoError(t, json.Unmarshal(data, &r))
		require.Equal(t, "cli", r.Who)
		require.WithinDuration(t, time.Now(), r.At, time.Minute)
		verbs = append(verbs, r.Verb)
	}
	return verbs
}

func (h *house) auditBodies(t *testing.T) (all [][]byte) {
	t.Helper()
	s, err := h.js.Stream(t.Context(), streams.Audit)
	require.NoError(t, err)
	info, err := s.Info(t.Context())
	require.NoError(t, err)
	for seq := uint64(1); seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(m.Subject, "gw.audit.cli.user."), m.Subject)
		all = append(all, m.Data)
	}
	return all
}

func TestConcurrentChangeIsAConflict(t *testing.T) {
	h := open(t)
	kv, err := h.js.KeyValue(t.Context(), streams.Users)
	require.NoError(t, err)
	first, err := kv.PutString(t.Context(), "global.ann", "{}")
	require.NoError(t, err)
	_, err = kv.PutString(t.Context(), "global.ann", "{}")
	require.NoError(t, err)
	_, create := kv.Create(t.Context(), "global.ann", nil)
	_, update := kv.Update(t.Context(), "global.ann", nil, first)
	remove := kv.Delete(t.Context(), "global.ann", jetstream.LastRevision(first))
	for _, err := range []error{create, update, remove} {
		require.Error(t, err)
		require.Equal(t, api.Conflict, api.KindOf(writeError("op", err)), "%v", err)
	}
	require.NoError(t, writeError("op", nil))
}

// TestChangesHoldOnceAnswered: whoever was told that a user is there can log in
// as it, and not any more once told that it is gone.
func TestChangesHoldOnceAnswered(t *testing.T) {
	h := open(t)
	for i := range 40 {
		name := "user" + strconv.Itoa(i)
		_, err := call[PutUser, UserInfo](t, h, "user.put", PutUser{UserID: name, Password: "pw"})
		require.NoError(t, err)
		r, err := h.ask(t, request(name, "pw", false))
		require.NoError(t, err)
		require.True(t, r.Allow, name)
		_, err = call[DeleteUser, bool](t, h, "user.delete", DeleteUser{UserID: name})
		require.NoError(t, err)
		r, err = h.ask(t, request(name, "pw", false))
		require.NoError(t, err)
		require.False(t, r.Allow, name)
	}
}
