package streams

import (
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const retainedRoot = "gw.ret."

// clearedTTL is how long the marker of a cleared topic stays, for readers that
// are behind.
const clearedTTL = time.Minute

// RetainedSubject is where GW_RETAINED keeps the retained message of a subject,
// and, for a filter, where those under it are.
func RetainedSubject(subj string) string { return retainedRoot + subj }

// RetainedOf is the inverse of RetainedSubject.
func RetainedOf(subj string) string { return strings.TrimPrefix(subj, retainedRoot) }

// RetainedMsg is what has a message retained (MQTT 3.1.1 §3.3.1.3): the last one
// on a subject stands, one without payload clears it.
func RetainedMsg(m *nats.Msg) *nats.Msg {
	r := &nats.Msg{Subject: RetainedSubject(m.Subject), Header: maps.Clone(m.Header), Data: m.Data}
	if r.Header == nil {
		r.Header = nats.Header{}
	}
	if id := m.Header.Get(nats.MsgIdHdr); id != "" {
		r.Header[nats.MsgIdHdr] = []string{id + ".ret"}
	}
	if len(m.Data) == 0 {
		r.Header[jetstream.MsgRollup] = []string{jetstream.MsgRollupSubject}
		r.Header[jetstream.MsgTTLHeader] = []string{strconv.Itoa(int(clearedTTL/time.Second)) + "s"}
	}
	return r
}
