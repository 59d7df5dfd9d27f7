package api

import (
	"fmt"
	"strings"
	"time"

	"sluice/pkg/subject"
)

// ClientKey names a device in the whole cluster: the same client id may live in
// several instances at once.
type ClientKey struct {
	Proto    string `json:"proto"`
	Instance string `json:"instance"`
	Client   string `json:"client"`
}

// String is the key as three subject tokens, "stomp.default.car-7": a KV key,
// and the tail of every control subject that names a client.
func (k ClientKey) String() string {
	return subject.Token(k.Proto) + "." + subject.Token(k.Instance) + "." + subject.Token(k.Client)
}

// ParseClientKey is the inverse of String.
func ParseClientKey(s string) (ClientKey, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return ClientKey{}, fmt.Errorf("client key %q: want three tokens", s)
	}
	for i, p := range parts {
		text, err := subject.Untoken(p)
		if err != nil {
			return ClientKey{}, fmt.Errorf("client key %q: %w", s, err)
		}
		parts[i] = text
	}
	return ClientKey{parts[0], parts[1], parts[2]}, nil
}

// Owner is the record of a connected client in GW_CLIENTS. Its KV revision is
// the epoch: whoever writes later owns the client, and an older owner cannot
// overwrite or delete what a newer one wrote.
type Owner struct {
	Node        string    `json:"node"`
	Lease       string    `json:"lease"` // the node's incarnation, as in GW_NODES
	Peer        string    `json:"peer"`
	ConnectedAt time.Time `json:"connected_at"`
}

// ClientInfo is what management tells of a connected client. Field names are
// those of EMQX's gateway API where it has the same thing.
type ClientInfo struct {
	ClientKey
	Node        string    `json:"node"`
	Epoch       uint64    `json:"epoch"`
	Listener    string    `json:"listener"`
	Username    string    `json:"username"`
	Mountpoint  string    `json:"mountpoint"`
	ProtoName   string    `json:"proto_name"`
	ProtoVer    string    `json:"proto_ver"`
	Peer        string    `json:"peer"`      // ip:port
	Keepalive   int       `json:"keepalive"` // seconds, 0 = none
	CleanStart  bool      `json:"clean_start"`
	Connected   bool      `json:"connected"`
	ConnectedAt time.Time `json:"connected_at"`

	Subscriptions []SubscriptionInfo `json:"subscriptions,omitempty"`
	Stats         ClientStats        `json:"stats"`
}

// SubscriptionInfo is one subscription of a client, its filter as the device
// wrote it.
type SubscriptionInfo struct {
	ID      string `json:"id"`
	Topic   string `json:"topic"`
	QoS     byte   `json:"qos"`
	Durable bool   `json:"durable,omitempty"`
	Queue   bool   `json:"queue,omitempty"`
}

// ClientStats counts messages and what waits.
type ClientStats struct {
	RecvMsg        uint64 `json:"recv_msg"`     // published by the device and accepted
	SendMsg        uint64 `json:"send_msg"`     // delivered to the device
	Dropped        uint64 `json:"dropped"`      // not delivered: the device was too slow
	Inflight       int    `json:"inflight_cnt"` // publishes that JetStream has not acknowledged
	Pending        int    `json:"mqueue_len"`   // deliveries that wait for the connection
	SubscriptionsN int    `json:"subscriptions_cnt"`
}
