package api

import (
	"fmt"
	"log/slog"
	"time"
)

// AuthRequest asks gw.svc.authn.check whether a device may come in. Password
// never leaves the request: it prints as "***" and is in no log.
type AuthRequest struct {
	ClientKey
	Listener string   `json:"listener"`
	Peer     string   `json:"peer"`
	Username string   `json:"username"`
	Password Password `json:"password"`
	CertCN   string   `json:"cert_cn,omitempty"` // subject common name of a verified TLS client certificate

	// Policy of the instance that asks: what decides when no user is found.
	AllowAnonymous bool `json:"allow_anonymous"`
}

// AuthResponse is the answer. A refusal is a value, not an error: errors say
// that the check itself could not be made.
type AuthResponse struct {
	Allow     bool              `json:"allow"`
	Reason    string            `json:"reason,omitempty"` // for logs and events: bad_credentials, not_authorized, banned
	Superuser bool              `json:"superuser,omitempty"`
	ExpireAt  time.Time         `json:"expire_at,omitzero"` // the connection is closed then
	Attrs     map[string]string `json:"attrs,omitempty"`    // for ${client_attrs.NAME} in mountpoints
	Rules     []Rule            `json:"rules,omitempty"`    // authorisation of this client; none = instance policy
}

// Rule allows or denies publish, subscribe or both ("all") on topics; the first
// match decides. Topic is a filter with variables, without the mountpoint.
type Rule struct {
	Permission string `json:"permission"` // allow | deny
	Action     string `json:"action"`     // publish | subscribe | all
	Topic      string `json:"topic"`
}

// Password is a secret on its way to authn; it prints as "***".
type Password string

func (Password) String() string   { return "***" }
func (Password) GoString() string { return "***" }

// Format implements [fmt.Formatter]: verbs that are not for strings, such as %d,
// ask no String.
func (Password) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, "***") }

// LogValue implements [slog.LogValuer].
func (Password) LogValue() slog.Value { return slog.StringValue("***") }

// LogValue implements [slog.LogValuer]: a JSON log would marshal the request as
// it is sent.
func (r AuthRequest) LogValue() slog.Value {
	type request AuthRequest // without this method
	r.Password = "***"
	return slog.AnyValue(request(r))
}

// User is a record of GW_USERS, keyed by "<scope>.<user id>" tokens. The hash
// is a PHC string ($argon2id$...) or bcrypt ($2b$...).
type User struct {
	UserID    string `json:"user_id"`
	Hash      string `json:"password_hash"`
	Superuser bool   `json:"is_superuser"`
	Rules     []Rule `json:"rules,omitempty"`
}

// Ban is a record of GW_BANNED. As is "clientid", "username" or "peerhost".
type Ban struct {
	As     string    `json:"as"`
	Who    string    `json:"who"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until,omitzero"` // zero = for ever
}
