package natsx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
)

// Options say where and as whom to connect. Server or URLs is needed.
type Options struct {
	Server *Server  // embedded: connect without a socket; URLs are not looked at
	URLs   []string // nats://host:port, tls://...; user:password@ is never logged

	Name     string // of the connection, for the server's monitoring
	Creds    string // file with JWT and seed
	NKey     string // file with an NKey seed
	User     string
	Password api.Password
	Token    api.Password
	TLSCA    string // file with the authorities that may sign the server
	TLSCert  string // files of the client certificate
	TLSKey   string

	Log *slog.Logger
	// OnState tells of every gain and loss of the connection, in order. It is
	// called from a goroutine of the connection and must not block.
	OnState func(connected bool)
}

const (
	dialTimeout  = 2 * time.Second
	pingInterval = 10 * time.Second // with two outstanding a dead peer is noticed in half a minute
	minReconnect = 100 * time.Millisecond
	maxReconnect = 2 * time.Second
)

// Connect returns a connection once it is established, trying until ctx ends;
// what trying again cannot mend (credentials refused, a certificate not
// trusted, a file missing) ends it at once. Afterwards the connection reconnects
// for ever. While it is away publishing fails: nothing is buffered here, so
// nothing is sent late that its owner has given up.
func Connect(ctx context.Context, o Options) (*nats.Conn, error) {
	opts, urls, err := o.build()
	if err != nil {
		return nil, err
	}
	log := orDiscard(o.Log)
	first := make(chan error, 1)
	settle := func(err error) {
		select {
		case first <- err:
		default:
		}
	}
	opts = append(opts, o.handlers(log, settle)...)
	nc, err := nats.Connect(urls, opts...)
	if err != nil {
		return nil, fmt.Errorf("natsx: connect: %w", err)
	}
	select {
	case err = <-first:
	case <-ctx.Done():
		err = context.Cause(ctx)
		if last := nc.LastError(); last != nil {
			err = fmt.Errorf("%w, last: %w", err, last)
		}
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("natsx: connect: %w", err)
	}
	return nc, nil
}

// handlers report the state of the connection. settle gets the outcome of the
// first attempt that succeeds or cannot be mended. All run in the one callback
// goroutine of the connection.
func (o Options) handlers(log *slog.Logger, settle func(error)) []nats.Option {
	state := o.OnState
	if state == nil {
		state = func(bool) {}
	}
	warn := log.Warn // for the next failure: only the first of an outage is news
	return []nats.Option{
		nats.ConnectHandler(func(nc *nats.Conn) {
			warn = log.Warn
			log.Info("nats connected", "url", o.where(nc))
			settle(nil)
			state(true)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			log.Warn("nats disconnected", "error", errText(err))
			state(false)
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			warn = log.Warn
			log.Info("nats reconnected", "url", o.where(nc))
			state(true)
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			warn("nats connect failed", "error", errText(err))
			warn = log.Debug
			if hopeless(err) {
				settle(err) // of no effect after the first connection
			}
		}),
		nats.ClosedHandler(func(nc *nats.Conn) { settle(errors.Join(nats.ErrConnectionClosed, nc.LastError())) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if sub == nil {
				log.Warn("nats error", "error", errText(err))
				return
			}
			dropped, _ := sub.Dropped()
			log.Warn("nats subscription error", "error", errText(err), "subject", sub.Subject, "dropped", dropped)
		}),
	}
}

// where is for the log: in process nats.go still names the default URL.
func (o Options) where(nc *nats.Conn) string {
	if o.Server != nil {
		return "in-process"
	}
	return nc.ConnectedUrlRedacted()
}

func (o Options) build() ([]nats.Option, string, error) {
	opts := []nats.Option{
		nats.Name(o.Name),
		nats.Timeout(dialTimeout),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // or the second refusal while a server restarts would be the end
		nats.CustomReconnectDelay(backoff),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(2),
		nats.NoCallbacksAfterClientClose(),
	}
	auth, err := o.credentials()
	if err != nil {
		return nil, "", err
	}
	opts = append(opts, auth...)
	if o.Server != nil {
		return append(opts, o.Server.InProcess()), "", nil
	}
	urls, err := cleanURLs(o.URLs)
	return opts, urls, err
}

// credentials look at every file now: nats.go would read some of them only when
// it connects, and then try for ever.
func (o Options) credentials() ([]nats.Option, error) {
	var opts []nats.Option
	if o.Creds != "" {
		if err := readable(o.Creds); err != nil {
			return nil, fmt.Errorf("natsx: creds: %w", err)
		}
		opts = append(opts, nats.UserCredentials(o.Creds))
	}
	if o.NKey != "" {
		opt, err := nats.NkeyOptionFromSeed(o.NKey)
		if err != nil {
			return nil, fmt.Errorf("natsx: nkey: %w", err)
		}
		opts = append(opts, opt)
	}
	if o.User != "" {
		opts = append(opts, nats.UserInfo(o.User, string(o.Password)))
	}
	if o.Token != "" {
		opts = append(opts, nats.Token(string(o.Token)))
	}
	if o.TLSCA != "" {
		if err := readable(o.TLSCA); err != nil {
			return nil, fmt.Errorf("natsx: tls ca: %w", err)
		}
		opts = append(opts, nats.RootCAs(o.TLSCA))
	}
	if o.TLSCert != "" || o.TLSKey != "" {
		if _, err := tls.LoadX509KeyPair(o.TLSCert, o.TLSKey); err != nil {
			return nil, fmt.Errorf("natsx: tls certificate: %w", err)
		}
		opts = append(opts, nats.ClientCert(o.TLSCert, o.TLSKey))
	}
	return opts, nil
}

func readable(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	return f.Close()
}

// cleanURLs checks here what nats.go would check, because its error quotes the
// URL with the password.
func cleanURLs(urls []string) (string, error) {
	if len(urls) == 0 {
		return "", errors.New("natsx: connect: neither a server nor URLs given")
	}
	for i, u := range urls {
		if u = strings.TrimSpace(u); !strings.Contains(u, "://") {
			u = "nats://" + u
		}
		if parsed, err := url.Parse(u); err != nil || parsed.Host == "" {
			return "", fmt.Errorf("natsx: connect: server URL number %d is malformed", i+1)
		}
	}
	return strings.Join(urls, ","), nil
}

// hopeless tells errors that the next attempt would meet again. The server
// says only "authorization violation", also while accounts are being reloaded:
// a supervisor's restart is the right patience for that, not silence.
func hopeless(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) ||
		errors.Is(err, nats.ErrSecureConnWanted) || errors.Is(err, nats.ErrSecureConnRequired)
}

// backoff doubles from 100 ms to 2 s and takes a random half of it away, so that
// the nodes of a cluster do not come back in step.
func backoff(attempts int) time.Duration {
	d := min(maxReconnect, minReconnect<<min(max(attempts-1, 0), 5))
	return d/2 + rand.N(d/2)
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
