package gateway

import (
	"strings"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/streams"
)

// bury publishes a dead letter: the message as it was, its subject and the
// reason in headers. done tells whether it is stored; only then may the original
// go. A repeat after a crash is recognised by the id of the original.
func (n *Node) bury(key, reason, id, subj string, h nats.Header, data []byte, done func(error)) {
	m := nats.NewMsg(streams.DeadSubject(reason, key))
	for name, values := range h {
		// What means something to NATS was said of the original: an expected
		// sequence, a batch or a TTL would have GW_DEAD refuse the letter.
		if !strings.HasPrefix(name, "Nats-") {
			m.Header[name] = values
		}
	}
	m.Header.Set(nats.MsgIdHdr, "dead."+id)
	m.Header.Set(streams.HdrSubject, subj)
	m.Header.Set(streams.HdrReason, reason)
	m.Data = data
	err := n.pub.publish(m, true, func(err error) {
		if err == nil {
			n.Metrics.Dead(reason)
			n.eventKey(key, api.EventDead, reason)
		} else {
			n.Log.Warn("dead letter not stored, the original stays", "error", err)
		}
		done(err)
	})
	if err != nil {
		done(err)
	}
}
