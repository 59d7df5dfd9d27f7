package conform

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"sluice/pkg/gateway"
)

// Capabilities are what a protocol can do beyond connecting, publishing and
// subscribing. The subtests about what it cannot do do not exist.
type Capabilities struct {
	Connection bool // the server can close the connection, and sees it lost
	ClientID   bool // devices choose their client id, so one can be taken over
	Wildcards  bool // filters have wildcards
	Durable    bool // subscriptions that outlive connections
	Queue      bool // work queues
	Keepalive  bool // devices announce one, and silence ends them
	Farewell   bool // the server tells a device why it must go
}

// Suite is what an edge brings.
type Suite struct {
	Kind gateway.Kind
	// Conf is the configuration of an instance: one listener on 127.0.0.1, port
	// 0, with small socket buffers, and the protocol's own keys, with a write
	// time-out of about a second and the shortest keep-alive it can have. Keys
	// that all protocols share are added by the suite.
	Conf string
	// Network of the listener: tcp or udp.
	Network string
	// Dial connects a device; the error is a [Refused] when the server said no.
	Dial func(ctx context.Context, addr string, l Login) (Device, error)
	Can  Capabilities

	EarlyPublish   func(topic, payload string) []byte // a publish frame, for before the device is known; nil = there is none
	EarlySubscribe func(filter string) []byte         // the same
	Again          func(d Device) error               // sends the connect frame once more; nil = that is allowed
	Broken         func(secret string) []byte         // a connect frame with this password that cannot be read

	Garbage     [][]byte // each is certainly no frame
	Flood       []byte   // the beginning of a first frame, larger than a stranger may send
	Oversize    []byte   // a publish frame over the limit
	Half        []byte   // the beginning of a first frame
	HalfPublish []byte   // the beginning of a publish frame
	// Keepalive is the shortest one, and Grace how many of it the server waits.
	Keepalive time.Duration
	Grace     float64
}

// promise is one subtest.
type promise struct {
	name  string
	of    bool                         // the protocol can do it
	alone bool                         // measures the process: nothing runs beside it
	check func(t *testing.T, s *stage) //
}

// stage is what a promise is checked on. A promise that breaks the house makes
// one of its own.
type stage struct {
	*Suite
	house *House
}

// Run checks all promises of an edge.
func Run(t *testing.T, s Suite) {
	require.NotEmpty(t, s.Network)
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { noGoroutineLeft(t, before) }) // the first is the last to run
	st := &stage{Suite: &s, house: NewHouse(t)}
	for _, p := range promises(&s) {
		t.Run(p.name, func(t *testing.T) {
			if !p.alone {
				t.Parallel()
			}
			p.check(t, st)
		})
	}
}

func noGoroutineLeft(t *testing.T, before goleak.Option) {
	var left error
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if left = goleak.Find(before); left == nil {
			return
		}
	}
	t.Errorf("goroutines are left after everything was stopped: %v", left)
}

// promises are those of a protocol, the ones that run alone first.
func promises(s *Suite) (of []promise) {
	can := s.Can
	for _, p := range []promise{
		{"half frame", can.Connection, true, halfFrame},
		{"flood of a stranger", can.Connection && s.Flood != nil, true, flood},
		{"connect", true, false, connectOK},
		{"connect denied", true, false, connectDenied},
		{"connect timeout", can.Connection, false, connectTimeout},
		{"authn away", true, false, authnAway},
		{"publish before connect", s.EarlyPublish != nil, false, earlyPublish},
		{"subscribe before connect", s.EarlySubscribe != nil, false, earlySubscribe},
		{"second connect", s.Again != nil, false, secondConnect},
		{"takeover on the same node", can.ClientID, false, takeoverHere},
		{"takeover on another node", can.ClientID, false, takeoverThere},
		{"mountpoints are apart", true, false, mountpointsApart},
		{"no way out of a mountpoint", true, false, noEscape},
		{"mountpoint with client id", can.ClientID, false, mountpointOfClient},
		{"authorization of publish", true, false, publishDenied},
		{"authorization of subscribe", true, false, subscribeDenied},
		{"rules of the user", true, false, userRules},
		{"oversize", s.Oversize != nil, false, oversize},
		{"garbage of a stranger", true, false, garbageBefore},
		{"garbage of a device", true, false, garbageAfter},
		{"keepalive", can.Keepalive, false, keepalive},
		{"half frame of a device", can.Keepalive && s.HalfPublish != nil, false, halfPublish},
		{"slow device", can.Connection, false, slowDevice},
		{"stored before confirmed", true, false, storedFirst},
		{"publish and subscribe across nodes", true, false, acrossNodes},
		{"durable over disconnect", can.Durable, false, durableDisconnect},
		{"durable over restarts", can.Durable, false, durableRestarts},
		{"unacknowledged comes again", can.Durable, false, redelivered},
		{"work queue", can.Queue, false, workQueue},
		{"work queue gives back", can.Queue, false, workQueueGivesBack},
		{"kick", true, false, kick},
		{"ban", true, false, ban},
		{"NATS away and back", true, false, natsAway},
		{"NATS away for long", true, false, natsAwayLong},
		{"node cut off from NATS", true, false, cutOff},
		{"goodbye", true, false, goodbye},
		{"metrics", true, false, metricsMoved},
		{"no secret in logs and events", true, false, noSecret},
	} {
		if p.of {
			of = append(of, p)
		}
	}
	return of
}
