package authn

import (
	"fmt"
	"strings"

	"sluice/pkg/api"
	"sluice/pkg/subject"
)

// Global is the scope of users that every instance knows.
const Global = "global"

const (
	maxUserID   = 256
	maxPassword = 4096
)

// Scope is the scope of the users of one instance: "stomp.default". It has a
// dot, so it is never Global.
func Scope(proto, instance string) string { return proto + "." + instance }

// UserKey is the key of a user in GW_USERS: the scope and the user as a token
// each, "global.ann" or "stomp=2Edefault.ann". No two users share one.
func UserKey(scope, userID string) string {
	return subject.Token(scope) + "." + subject.Token(userID)
}

// ParseUserKey is the inverse of UserKey.
func ParseUserKey(key string) (scope, userID string, err error) {
	s, u, ok := strings.Cut(key, ".")
	if !ok {
		return "", "", fmt.Errorf("authn: user key %q: want two tokens", key)
	}
	if scope, err = subject.Untoken(s); err != nil {
		return "", "", fmt.Errorf("authn: user key %q: %w", key, err)
	}
	if userID, err = subject.Untoken(u); err != nil {
		return "", "", fmt.Errorf("authn: user key %q: %w", key, err)
	}
	return scope, userID, nil
}

// checkUser returns the scope, Global for none, when scope and user can be stored.
func checkUser(op, scope, userID string) (string, error) {
	if scope == "" {
		scope = Global
	}
	proto, inst, dotted := strings.Cut(scope, ".")
	if scope != Global && (!dotted || proto == "" || inst == "") {
		return "", api.Errorf(api.Invalid, op, "scope %q is neither %s nor an instance such as stomp.default", scope, Global)
	}
	if userID == "" {
		return "", api.Errorf(api.Invalid, op, "user id is empty")
	}
	if len(userID) > maxUserID || len(scope) > maxUserID {
		return "", api.Errorf(api.Invalid, op, "user id or scope is longer than %d bytes", maxUserID)
	}
	return scope, nil
}
