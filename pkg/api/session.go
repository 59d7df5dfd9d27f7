package api

import (
	"strconv"
	"time"

	"sluice/pkg/subject"
)

// Partitions is the number of queue partitions; a client belongs to one for ever.
const Partitions = 64

// Partition is FNV-1a 32 of the client's key modulo Partitions.
func (k ClientKey) Partition() int {
	h := uint32(2166136261)
	for _, c := range []byte(k.String()) {
		h = (h ^ uint32(c)) * 16777619
	}
	return int(h % Partitions)
}

// MainQueue is the id of the queue of a whole session: one order for everything
// that a client gets, whatever filters brought it there, and commands besides.
const MainQueue = "q"

// OpenRequest tells gw.svc.session.open.<p> that a client with a session has
// come to a node. Delivery from its main queue begins.
type OpenRequest struct {
	ClientKey
	Node   string `json:"node"`
	Epoch  uint64 `json:"epoch"`           // its ownership there
	Clean  bool   `json:"clean,omitempty"` // forget what there is, queue and all
	Wake   bool   `json:"wake,omitempty"`  // NotFound unless the session is asleep; the node is told when the queue is empty
	Window int    `json:"window"`          // messages in flight, at least 1
	Retx   Retx   `json:"retx"`
	// Queue has the main queue delivered although no subscription fills it:
	// commands for devices of message protocols.
	Queue  bool          `json:"queue,omitempty"`
	Expiry time.Duration `json:"expiry,omitempty"` // as in Leave, if the node dies
}

// Retx is how a protocol has its messages sent again.
type Retx struct {
	Interval time.Duration `json:"interval,omitempty"` // without an answer; 0 = the service's own
	// MaxTries sent, a message is a dead letter; 0 = the protocol decides.
	MaxTries int `json:"max_tries,omitempty"`
}

// OpenResponse is what the session had.
type OpenResponse struct {
	Present bool              `json:"present"`
	Filters map[string]Filter `json:"filters,omitempty"` // by the device's own words
	State   []byte            `json:"state,omitempty"`   // what the edge left, see SleepRequest
	Clean   bool              `json:"clean,omitempty"`   // of a session that woke up
}

// Filter is one subscription of a session's main queue.
type Filter struct {
	QoS      byte     `json:"qos,omitempty"`
	Subjects []string `json:"subjects"` // mounted
}

// SubscribeRequest asks gw.svc.session.subscribe.<p> to keep the messages of a
// filter for a client from now on, or, when the session has the subscription
// already, to resume its delivery to this node.
type SubscribeRequest struct {
	ClientKey
	ID       string   `json:"id"`       // of the subscription; a queue each
	Subjects []string `json:"subjects"` // mounted filters
	Node     string   `json:"node"`     // where the client is connected
	Epoch    uint64   `json:"epoch"`    // its ownership there
	Window   int      `json:"window"`   // messages in flight, at least 1
	Retx     Retx     `json:"retx,omitzero"`
	// Filter, the device's own words, adds the subjects to the queue instead of
	// saying all of them.
	Filter string        `json:"filter,omitempty"`
	QoS    byte          `json:"qos,omitempty"`    // with Filter
	Expiry time.Duration `json:"expiry,omitempty"` // as in Leave, if the node dies
}

// UnsubscribeRequest ends delivery (detach), or the subscription with its queue,
// or one filter of a queue: gw.svc.session.unsubscribe.<p>.
type UnsubscribeRequest struct {
	ClientKey
	ID     string `json:"id"` // "" = every subscription of the client
	Epoch  uint64 `json:"epoch"`
	Forget bool   `json:"forget"`           // drop the subscription and what is queued
	Filter string `json:"filter,omitempty"` // only this one; what is queued stays
	Leave
}

// Leave is what a client that goes leaves to the session service.
type Leave struct {
	State  []byte        `json:"state,omitempty"`  // the edge's own, given back by open
	Expiry time.Duration `json:"expiry,omitempty"` // how long the session is kept; 0 = for ever
}

// SleepRequest hands a session over: gw.svc.session.sleep.<p>. From its answer
// on everything is kept and nothing is sent, and the node may forget the client.
type SleepRequest struct {
	ClientKey
	Node  string        `json:"node"`
	Epoch uint64        `json:"epoch"`
	For   time.Duration `json:"for"` // then the client is lost: will, event, and Leave.Expiry counts
	Clean bool          `json:"clean,omitempty"`
	// Filters, when the session had no main queue so far.
	Filters map[string]Filter `json:"filters,omitempty"`
	Will    *Will             `json:"will,omitempty"`
	Leave
}

// Will is a message that is published when a sleeping client is lost, as the
// door would have published it: mounted, authorised, with its headers.
type Will struct {
	Subject string            `json:"subject"`
	Header  map[string]string `json:"header"`
	Payload []byte            `json:"payload"`
	Retain  bool              `json:"retain,omitempty"`
}

// SessionState is where the client of a session is.
type SessionState string

// The states. A client that is awake is a sleeping one that fetches what waits:
// that is known to the owner of the partition only and not written down.
const (
	Connected SessionState = "connected"
	Awake     SessionState = "awake"
	Asleep    SessionState = "asleep"
	Offline   SessionState = "offline"
)

// Session is the record of GW_SESSIONS, keyed by ClientKey.String().
type Session struct {
	ClientKey
	State  SessionState          `json:"state"`
	Node   string                `json:"node,omitempty"` // "" = nothing is delivered
	Epoch  uint64                `json:"epoch,omitempty"`
	Since  time.Time             `json:"since"`            // of this state
	For    time.Duration         `json:"for,omitempty"`    // asleep: at most
	Expiry time.Duration         `json:"expiry,omitempty"` // offline: then the session ends; 0 = never
	Clean  bool                  `json:"clean,omitempty"`  // asleep: ends when the client is lost
	Edge   []byte                `json:"edge,omitempty"`   // the edge's own state
	Will   *Will                 `json:"will,omitempty"`   // asleep
	Subs   map[string]DurableSub `json:"subs,omitempty"`
}

// DurableSub is one queue of a session with what fills it.
type DurableSub struct {
	Subjects []string          `json:"subjects,omitempty"`
	Filters  map[string]Filter `json:"filters,omitempty"` // of a main queue, instead of Subjects
	FromSeq  uint64            `json:"from_seq"`          // first GW_DATA sequence that belongs to it
	Attached bool              `json:"attached"`          // the connected client asked for delivery
	Window   int               `json:"window,omitempty"`
	Retx     Retx              `json:"retx,omitzero"`
}

// QueueSubject is where the messages of a durable subscription wait:
// gw.q.<partition>.<proto>.<inst>.<client>.<sub>.
func (k ClientKey) QueueSubject(sub string) string {
	return "gw.q." + strconv.Itoa(k.Partition()) + "." + k.String() + "." + subject.Token(sub)
}
