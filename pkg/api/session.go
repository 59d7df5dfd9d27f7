package api

import (
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

// SubscribeRequest asks gw.svc.session.subscribe to keep the messages of a
// filter for a client from now on, or, when the session has the subscription
// already, to resume its delivery to this node.
type SubscribeRequest struct {
	ClientKey
	ID       string   `json:"id"`       // of the subscription; a queue each
	Subjects []string `json:"subjects"` // mounted filters
	Node     string   `json:"node"`     // where the client is connected
	Epoch    uint64   `json:"epoch"`    // its ownership there
	Window   int      `json:"window"`   // messages in flight, at least 1
}

// UnsubscribeRequest ends delivery (detach) or the subscription with its queue.
type UnsubscribeRequest struct {
	ClientKey
	ID     string `json:"id"` // "" = every subscription of the client
	Epoch  uint64 `json:"epoch"`
	Forget bool   `json:"forget"` // drop the subscription and what is queued
}

// Session is the record of GW_SESSIONS, keyed by ClientKey.String().
type Session struct {
	ClientKey
	Node  string                `json:"node,omitempty"` // "" = offline
	Epoch uint64                `json:"epoch,omitempty"`
	Since time.Time             `json:"since"` // of this state
	Subs  map[string]DurableSub `json:"subs"`
}

// DurableSub is one durable subscription of a session.
type DurableSub struct {
	Subjects []string `json:"subjects"`
	FromSeq  uint64   `json:"from_seq"` // first GW_DATA sequence that belongs to it
	Attached bool     `json:"attached"` // the connected client asked for delivery
	Window   int      `json:"window,omitempty"`
}

// QueueSubject is where the messages of a durable subscription wait:
// gw.q.<partition>.<proto>.<inst>.<client>.<sub>.
func (k ClientKey) QueueSubject(sub string) string {
	return "gw.q." + itoa(k.Partition()) + "." + k.String() + "." + subject.Token(sub)
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return string([]byte{byte('0' + n/10), byte('0' + n%10)})
}
