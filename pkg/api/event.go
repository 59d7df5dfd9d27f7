package api

import "time"

// The events on gw.evt.<proto>.<inst>.<event>.<client>.
const (
	EventConnected    = "connected"
	EventDisconnected = "disconnected"
	EventAuthDenied   = "auth_denied"
	EventSubscribed   = "subscribed"
	EventUnsubscribed = "unsubscribed"
	EventDropped      = "dropped"
	EventDead         = "dead"
	EventAsleep       = "asleep"  // the client sleeps: everything is kept
	EventAwake        = "awake"   // it fetches what waits
	EventLost         = "lost"    // it slept longer than it said
	EventEnded        = "ended"   // its session expired
	EventQueued       = "queued"  // a command waits: the life of what others put into a client's queue
	EventSent         = "sent"    // to the device, with the attempt
	EventAcked        = "acked"   // by the device
	EventExpired      = "expired" // nobody got it in time
)

// Event is the body of gw.evt.>: what happened to a client.
type Event struct {
	ClientKey
	Event    string    `json:"event"`
	Node     string    `json:"node"`
	At       time.Time `json:"at"`
	Epoch    uint64    `json:"epoch,omitempty"`
	Username string    `json:"username,omitempty"`
	Peer     string    `json:"peer,omitempty"`
	Listener string    `json:"listener,omitempty"`
	ProtoVer string    `json:"proto_ver,omitempty"`
	Topic    string    `json:"topic,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Count    uint64    `json:"count,omitempty"` // dropped: how many since the last such event
	Queue    uint64    `json:"queue,omitempty"` // queued, sent, acked, expired, dead: number in its queue
	ID       string    `json:"id,omitempty"`    // the same: the Nats-Msg-Id that its sender gave it
	Attempt  int       `json:"attempt,omitempty"`
}
