package gateway

import (
	"sync"

	"github.com/nats-io/nats.go"

	"sluice/pkg/subject"
	"sluice/streams"
)

// Delivery is one message on its way to one subscription of a device.
type Delivery struct {
	Sub     string // Subscription.ID
	Topic   string // without the mountpoint
	Msg     *Inbound
	Seq     uint64 // durable and queue: stable number of the message, 0 = none
	Queue   bool   // from a work queue
	Attempt int    // 1 for the first; more: redelivered
	done    func(error)
}

// Done tells the door that the device acknowledged the message (nil), or why it
// did not. It must be called exactly once, for subscriptions of every kind.
func (d Delivery) Done(err error) {
	if d.done != nil {
		d.done(err)
	}
}

// NewDelivery is for tests of edges, which have no NATS.
func NewDelivery(sub, topic string, msg *Inbound, done func(error)) Delivery {
	return Delivery{Sub: sub, Topic: topic, Msg: msg, Attempt: 1, done: done}
}

// Inbound is a message as NATS brought it, shared by all its receivers and not
// to be changed.
type Inbound struct {
	Subject     string
	Payload     []byte
	ContentType string
	QoS         byte
	Retain      bool // it was kept for new subscriptions; one that was just published is not, whatever its sender asked
	Props       []Prop
	Correlation string // of a command: its answers carry it
	Response    string // of a command: the subject on which its sender wants to hear of it

	topic func() string // Subject as a topic, made once for all receivers
}

// newInbound reads a NATS message. Only what the door itself writes is looked
// at: other headers of NATS applications are not for devices. Gw-Retain is what
// the sender asked for, and no news to who is subscribed (MQTT 3.1.1 §3.3.1.3).
func newInbound(subj string, h nats.Header, payload []byte) *Inbound {
	in := &Inbound{Subject: subj, Payload: payload}
	in.topic = sync.OnceValue(func() string { return subject.ToTopic(subj) })
	for name, values := range h {
		if len(values) == 0 {
			continue
		}
		switch v := values[0]; name {
		case streams.HdrContentType:
			in.ContentType = v
		case streams.HdrQoS:
			in.QoS = qos(v)
		case streams.HdrMQTT:
			if _, ours := h[streams.HdrQoS]; !ours {
				in.QoS = qos(v)
			}
		case streams.HdrCorrelation:
			in.Correlation = v
		case streams.HdrResponse:
			in.Response = v
		case streams.HdrProps:
			in.Props = decodeProps(v)
		}
	}
	return in
}

// qos reads a header that any NATS application may have written.
func qos(v string) byte {
	if len(v) == 1 && v[0] >= '0' && v[0] <= '2' {
		return v[0] - '0'
	}
	return 0
}
