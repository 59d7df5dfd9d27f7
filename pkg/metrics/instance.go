package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sluice/pkg/api"
)

// Instance counts for one gateway. Its methods cost no more than an atomic
// addition and a look into a small map.
type Instance struct {
	connections, clients     prometheus.Gauge
	connects, disconnects    *enum
	rejects, frameErrors     *enum
	framesIn, framesOut      *enum
	messagesIn, messagesOut  *enum
	bytesIn, bytesOut        prometheus.Counter
	authAllowed, authRefused prometheus.Observer
}

// Instance makes the series of an instance, all at 0. frames are the types of
// frames of its protocol; any other is counted as "other". Called again, it goes
// on with the same series.
func (m *Metrics) Instance(proto, instance string, frames ...string) *Instance {
	if m == nil {
		return nil
	}
	f, id := m.of, []string{proto, instance}
	with := func(last string) []string { return []string{proto, instance, last} }
	results := []string{"ok"}
	for _, k := range api.Kinds() {
		results = append(results, k.String())
	}
	return &Instance{
		connections: f.connections.WithLabelValues(id...),
		clients:     f.clients.WithLabelValues(id...),
		connects:    newEnum(f.connects, id, fixed, results...),
		disconnects: newEnum(f.disconnects, id, dynamic, "normal", "closed", "error", "expired", "idle", "keepalive",
			"kicked", "banned", "lease_lost", "protocol", "shutdown", "slow", "taken_over"),
		rejects:     newEnum(f.rejects, id, dynamic, "max_connections", "rate", "access", "proxy", "handshake"),
		frameErrors: newEnum(f.frameErrors, id, dynamic, "malformed", "too_large", "unexpected"),
		framesIn:    newEnum(f.frames, with("in"), fixed, frames...),
		framesOut:   newEnum(f.frames, with("out"), fixed, frames...),
		messagesIn:  newEnum(f.messages, with("in"), dynamic, results...),
		messagesOut: newEnum(f.messages, with("out"), dynamic, "ok", "refused", "dropped"),
		bytesIn:     f.bytes.WithLabelValues(with("in")...),
		bytesOut:    f.bytes.WithLabelValues(with("out")...),
		authAllowed: f.auth.WithLabelValues(with("ok")...),
		authRefused: f.auth.WithLabelValues(with("refused")...),
	}
}

// Forget drops the series of an instance that was removed for good.
func (m *Metrics) Forget(proto, instance string) {
	if m != nil {
		m.of.forget(prometheus.Labels{"proto": proto, "instance": instance})
	}
}

// Opened counts a connection that a listener took.
func (i *Instance) Opened() {
	if i != nil {
		i.connections.Inc()
	}
}

// ClosedConn counts the end of a connection that was Opened.
func (i *Instance) ClosedConn() {
	if i != nil {
		i.connections.Dec()
	}
}

// Rejected counts a connection that a listener refused.
func (i *Instance) Rejected(reason string) {
	if i != nil {
		i.rejects.get(reason).Inc()
	}
}

// Connect counts an attempt to become a client: "ok" or an api.Kind.
func (i *Instance) Connect(result string) {
	if i != nil {
		i.connects.get(result).Inc()
	}
}

// Connected counts a client in.
func (i *Instance) Connected() {
	if i != nil {
		i.clients.Inc()
	}
}

// Disconnected counts a client that was Connected out.
func (i *Instance) Disconnected(reason string) {
	if i != nil {
		i.clients.Dec()
		i.disconnects.get(reason).Inc()
	}
}

// Auth counts how long authentication took, for devices let in and refused.
func (i *Instance) Auth(took time.Duration, ok bool) {
	switch {
	case i == nil:
	case ok:
		i.authAllowed.Observe(took.Seconds())
	default:
		i.authRefused.Observe(took.Seconds())
	}
}

// FrameIn counts a frame from a device.
func (i *Instance) FrameIn(typ string) {
	if i != nil {
		i.framesIn.get(typ).Inc()
	}
}

// FrameOut counts a frame to a device.
func (i *Instance) FrameOut(typ string) {
	if i != nil {
		i.framesOut.get(typ).Inc()
	}
}

// FrameError counts a frame that could not be read or was out of place.
func (i *Instance) FrameError(reason string) {
	if i != nil {
		i.frameErrors.get(reason).Inc()
	}
}

// BytesIn counts bytes from devices.
func (i *Instance) BytesIn(n int) {
	if i != nil {
		i.bytesIn.Add(float64(n))
	}
}

// BytesOut counts bytes to devices.
func (i *Instance) BytesOut(n int) {
	if i != nil {
		i.bytesOut.Add(float64(n))
	}
}

// Message counts a message; dir is "in", from a device, or "out".
func (i *Instance) Message(dir, result string) { i.Messages(dir, result, 1) }

// Messages counts n messages of one outcome.
func (i *Instance) Messages(dir, result string, n int) {
	switch {
	case i == nil:
	case dir == "in":
		i.messagesIn.get(result).Add(float64(n))
	default:
		i.messagesOut.get(result).Add(float64(n))
	}
}
