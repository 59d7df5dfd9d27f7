package gateway

import (
	"context"
	"errors"
	"time"

	"sluice/pkg/api"
)

// Door lets devices in: ban, authentication, override, mountpoint, ownership,
// event, in this order. Connect blocks on services; call it off the owner loop.
type Door interface {
	Connect(ctx context.Context, h Hello) (Client, error)
}

// Hello is what an edge knows of a device that wants in. Nothing in it is
// trusted before Connect returns.
type Hello struct {
	ClientID  string       // "" lets the door make one
	Username  string       //
	Password  api.Password //
	CertCN    string       // of a verified TLS client certificate
	Peer      string       // ip:port, after the PROXY protocol
	ProtoName string       // "STOMP"
	ProtoVer  string       // "1.2"
	Keepalive time.Duration
	Clean     bool // the device asked for no session, or for a new one

	// Session: the protocol has sessions, and this one is opened at the session
	// service: what it had is in Client.Session.
	Session bool
	// Wake: the device sleeps and fetches what waits for it. NotFound when its
	// session is not asleep. An event Drained follows the last message.
	Wake bool
	// Commands, with Session: the main queue is delivered although nothing is
	// subscribed: applications put commands for the device there.
	Commands bool
	// Notify is called when Wake or Kicked would yield, for edges that have no
	// goroutine for each device. It comes from any goroutine, also from within a
	// method of the client: it must neither block nor call the client.
	Notify func()

	// Packet looks a field of the protocol's connect frame up for templates
	// such as ${Packet.headers.login}; nil when the protocol has none.
	Packet func(name string) (string, bool)
}

// Client is one connected device. Its methods are for the connection's owner
// goroutine; those marked blocking are called in a goroutine of their own, with
// frames held back meanwhile, so that heart-beats never stall.
type Client interface {
	// Publish authorises, mounts and hands a message to JetStream; it does not
	// wait. With m.Confirm an Event of kind Acked carries m.Tag, which is not 0,
	// once it is stored, or why it is not. Without, an event comes only when the
	// message is lost, with tag 0. An error means that nothing was sent.
	Publish(ctx context.Context, m Message) error
	// PublishBatch does so with all messages or none, as one JetStream batch
	// where they lie in one stream. One Acked event with tag follows.
	PublishBatch(ctx context.Context, ms []Message, tag uint64) error
	// Report hands a frame of a message protocol to JetStream as Publish does a
	// message. An Event of kind Acked with its tag always follows.
	Report(ctx context.Context, r Report) error
	// Topic fills a template of a message protocol's configuration in; own has
	// the protocol's variables. Denied when a value would make it another's topic.
	Topic(template string, own func(name string) (string, bool)) (string, error)
	// Subscribe returns when messages published from now on will be delivered.
	// Blocking.
	Subscribe(ctx context.Context, s Subscription) error
	// Unsubscribe ends a subscription and returns its unacknowledged messages;
	// forget also drops a durable one with what is queued. NotFound for an
	// unknown id. Blocking.
	Unsubscribe(ctx context.Context, id string, forget bool) error
	// Wake has a value when Take has something.
	Wake() <-chan struct{}
	// Take appends all waiting events to buf.
	Take(buf []Event) []Event
	// Kicked yields once, why the connection must end.
	Kicked() <-chan error
	// Inflight is the number of publishes not yet stored; above Window the
	// edge must stop reading frames until it has fallen.
	Inflight() (n, window int)
	// Session is what was found at Connect.
	Session() Session
	// Sleep hands the session over to the session service. From its return on
	// everything is kept and nothing is delivered; the edge closes the client then
	// with ErrAsleep, and lets it in again by Hello.Wake, here or on another node.
	// Subscriptions that were not durable are kept as well. Blocking.
	Sleep(ctx context.Context, s Sleep) error
	// Leave sets what Close leaves in the session: see Session.State.
	Leave(state []byte)
	// Info is what management shows.
	Info() api.ClientInfo
	// Close ends the client once: subscriptions, unacknowledged messages,
	// ownership, event. reason is nil for a goodbye of the device's own.
	Close(reason error)
}

// Why a client is told to go, by Kicked or as the reason of Close.
var (
	ErrTakenOver = errors.New("taken over by a newer connection with the same client id")
	ErrKicked    = errors.New("kicked out")
	ErrBanned    = errors.New("banned")
	ErrExpired   = errors.New("credential expired")
	ErrLeaseLost = errors.New("this node lost its lease")
	ErrShutdown  = errors.New("server is shutting down")
	ErrKeepalive = errors.New("keepalive timeout")
	ErrIdle      = errors.New("idle timeout")
	ErrSlow      = errors.New("device does not read")
	ErrAsleep    = errors.New("device sleeps") // no end: Client.Sleep has handed the session over
	ErrNoAck     = errors.New("device does not acknowledge")
	ErrProtocol  = errors.New("protocol error")
	ErrClosed    = errors.New("connection closed by peer")
)

// ErrNack is given to Delivery.Done when the device refuses a message.
var ErrNack = errors.New("refused by device")

// Message is what a device publishes.
type Message struct {
	Topic       string // in the device's own words, without the mountpoint
	Queue       bool   // Topic names a work queue: one subscriber gets it
	Payload     []byte // kept until stored: the caller must not reuse it
	QoS         byte
	Retain      bool
	ContentType string
	Props       []Prop // further headers, given on to receivers
	ID          string // set when the protocol numbers its publishes: makes repeats single
	Confirm     bool
	Tag         uint64
}

// Prop is a header that a device put on its message.
type Prop struct{ Name, Value string }

// Subscription is what a device subscribes to. Its ID is unique to the client.
type Subscription struct {
	ID      string
	Filter  string // topic filter, or queue name
	Queue   bool
	Durable bool // keep messages while the client is away
	QoS     byte
	Window  int // queue and durable: unacknowledged messages at most; 0 = default
	// Main: the subscription fills the main queue of the session (durable only):
	// all of them have one order and one window, and Delivery.Sub is
	// api.MainQueue. Its ID is its filter.
	Main bool
	// Retained: deliver the retained messages under the filter first.
	Retained bool
}

// Session is what the session service had for a client at Connect.
type Session struct {
	Present bool           // there was one, and Hello.Clean did not end it
	Subs    []Subscription // that it has; they are in force
	State   []byte         // the edge's own, as given to Sleep or Leave
}

// Sleep is how a device sleeps.
type Sleep struct {
	For   time.Duration // then it is lost: its will is published
	State []byte        // the edge's own, for Session.State at waking up
	Will  *Message      // published when it is lost
}

// EventKind tells what an Event carries.
type EventKind uint8

// The kinds of events.
const (
	Acked     EventKind = iota // Tag, Err
	Delivered                  // Delivery
	// Resend: the device has not acknowledged Delivery.Seq within retx_interval:
	// send it again. Delivery.Attempt is the number of times with this one; only
	// Sub, Seq and Attempt count. For sessions only (Hello.Session).
	Resend
	// Drained: after Hello.Wake, nothing waits any more.
	Drained
)

// Event is what the door has for the connection.
type Event struct {
	Kind     EventKind
	Tag      uint64
	Err      error // Acked: nil when stored
	Delivery Delivery
}
