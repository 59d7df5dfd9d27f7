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
}
