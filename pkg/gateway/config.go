package gateway

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"sluice/pkg/api"
	"sluice/pkg/config"
	"sluice/pkg/subject"
)

// InstanceConfig is what every instance of every protocol can be told.
type InstanceConfig struct {
	Enable         bool          `conf:"enable" doc:"false: known, but nothing is started"`
	Mountpoint     string        `conf:"mountpoint" doc:"put before every topic; ${clientid}, ${username}, ${client_attrs.x} are filled in"`
	AllowAnonymous bool          `conf:"allow_anonymous" doc:"let devices in that no user is known for"`
	DefaultUser    DefaultUser   `conf:"default_user" doc:"one user without a user database"`
	Override       Override      `conf:"clientinfo_override" doc:"templates such as ${Packet.headers.login}"`
	Authorization  []Rule        `conf:"authorization" doc:"first match decides; none = all allowed"`
	IdleTimeout    time.Duration `conf:"idle_timeout" doc:"a connection must be a client within this time"`
	AuthTimeout    time.Duration `conf:"auth_timeout" doc:"how long authentication may take"`
	MaxInflight    int           `conf:"max_inflight" doc:"publishes of one client not yet stored; reading stops above"`
	MaxPending     int           `conf:"max_pending" doc:"messages that wait for one slow client before they are dropped"`
	MaxPendingSize config.Size   `conf:"max_pending_bytes" doc:"the same in bytes"`
	QueueWindow    int           `conf:"queue_window" doc:"unacknowledged messages of one queue or durable subscription"`
	MaxDeliver     int           `conf:"max_deliver" doc:"deliveries of a queued message before it is a dead letter"`
	RetxInterval   time.Duration `conf:"retx_interval" doc:"a message that the device has not acknowledged is sent again after this"`
	RetxMaxTimes   int           `conf:"retx_max_times" doc:"so often; then the device is taken for lost, or the message for a dead letter, as the protocol says"`
	SessionExpiry  time.Duration `conf:"session_expiry" doc:"a session whose client is gone for so long ends, and its queue with it; 0 = never"`
	MaxSubs        int           `conf:"max_subscriptions" doc:"subscriptions of one client"`
	Listener       Listeners     `conf:"listener" doc:"listener.<type>.<name>"`
}

// DefaultUser is a login that needs no user database.
type DefaultUser struct {
	Login    string        `conf:"login"`
	Passcode config.Secret `conf:"passcode"`
}

// Override replaces what a device says of itself; empty = as the device says.
type Override struct {
	ClientID string `conf:"clientid"`
	Username string `conf:"username"`
	Password string `conf:"password"`
}

// Rule is api.Rule in the configuration file.
type Rule struct {
	Permission string `conf:"permission"`
	Action     string `conf:"action"`
	Topic      string `conf:"topic"`
}

// DefaultInstance has the defaults that all protocols share.
func DefaultInstance() InstanceConfig {
	return InstanceConfig{
		Enable: true, Mountpoint: "iot/",
		IdleTimeout: 30 * time.Second, AuthTimeout: 5 * time.Second,
		MaxInflight: 256, MaxPending: 1000, MaxPendingSize: 4 << 20,
		QueueWindow: 32, MaxDeliver: 5, RetxInterval: 10 * time.Second, RetxMaxTimes: 3, MaxSubs: 100,
	}
}

// Common gives edges' configurations the method of [Config].
func (c *InstanceConfig) Common() *InstanceConfig { return c }

// minRetx keeps repetition from being a load of its own.
const minRetx = 100 * time.Millisecond

var listenerName = regexp.MustCompile(`^[a-zA-Z][0-9a-zA-Z_-]*$`)

// check is Validate for what needs the kind; an edge cannot shadow it away.
func (c *InstanceConfig) check(k Kind) error {
	var errs []error
	positive := func(key string, n int64) {
		if n <= 0 {
			errs = append(errs, fmt.Errorf("%s: must be greater than 0", key))
		}
	}
	positive("idle_timeout", int64(c.IdleTimeout))
	positive("auth_timeout", int64(c.AuthTimeout))
	positive("max_inflight", int64(c.MaxInflight))
	positive("max_pending", int64(c.MaxPending))
	positive("max_pending_bytes", int64(c.MaxPendingSize))
	positive("queue_window", int64(c.QueueWindow))
	positive("max_deliver", int64(c.MaxDeliver))
	positive("retx_max_times", int64(c.RetxMaxTimes))
	positive("max_subscriptions", int64(c.MaxSubs))
	if c.RetxInterval < minRetx {
		errs = append(errs, fmt.Errorf("retx_interval: must be at least %s", minRetx))
	}
	if c.SessionExpiry != 0 && c.SessionExpiry < time.Second {
		errs = append(errs, errors.New("session_expiry: must be 0 or at least 1s"))
	}
	if _, err := subject.NewMount(subject.Expand(c.Mountpoint, func(string) (string, bool) { return "x", true })); err != nil {
		errs = append(errs, err)
	}
	for i, r := range c.Authorization {
		if err := r.check(); err != nil {
			errs = append(errs, fmt.Errorf("authorization[%d]: %w", i, err))
		}
	}
	return errors.Join(append(errs, c.checkListeners(k)...)...)
}

func (c *InstanceConfig) checkListeners(k Kind) (errs []error) {
	for typ, named := range c.Listener {
		if !slices.Contains(k.Transports, typ) {
			errs = append(errs, fmt.Errorf("listener.%s: %s has no such transport (%v)", typ, k.Proto, k.Transports))
			continue
		}
		for name := range named {
			if !listenerName.MatchString(name) {
				errs = append(errs, fmt.Errorf("listener.%s.%s: a listener's name begins with a letter and has letters, digits, _ and -", typ, name))
			}
		}
	}
	return errs
}

func (r Rule) check() error {
	if r.Permission != "allow" && r.Permission != "deny" {
		return fmt.Errorf("permission: %q is not allow or deny", r.Permission)
	}
	if !slices.Contains([]string{"publish", "subscribe", "all"}, r.Action) {
		return fmt.Errorf("action: %q is not publish, subscribe or all", r.Action)
	}
	_, err := subject.FromFilter(subject.Expand(r.Topic, func(string) (string, bool) { return "x", true }))
	return err
}

// rules are the instance's own in the form of the house.
func (c *InstanceConfig) rules() []api.Rule {
	out := make([]api.Rule, len(c.Authorization))
	for i, r := range c.Authorization {
		out[i] = api.Rule(r)
	}
	return out
}
