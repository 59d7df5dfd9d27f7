package metrics

import "github.com/prometheus/client_golang/prometheus"

// families are the collectors with a series for each instance.
type families struct {
	connections, clients                 *prometheus.GaugeVec
	connects, disconnects, rejects       *prometheus.CounterVec
	frames, frameErrors, messages, bytes *prometheus.CounterVec
	auth                                 *prometheus.HistogramVec
}

func newFamilies(f factory) families {
	const proto, instance = "proto", "instance"
	return families{
		connections: f.gauge("gw_connections", "open connections, of clients or not yet", proto, instance),
		clients:     f.gauge("gw_clients", "connected clients", proto, instance),
		connects:    f.counter("gw_connects_total", "attempts to connect as a client", proto, instance, "result"),
		disconnects: f.counter("gw_disconnects_total", "clients that went", proto, instance, "reason"),
		rejects:     f.counter("gw_rejects_total", "connections that a listener refused", proto, instance, "reason"),
		frames:      f.counter("gw_frames_total", "frames of the protocol", proto, instance, "dir", "type"),
		frameErrors: f.counter("gw_frame_errors_total", "frames that could not be read or were out of place", proto, instance, "reason"),
		messages:    f.counter("gw_messages_total", "messages published by devices (in) and delivered to them (out)", proto, instance, "dir", "result"),
		bytes:       f.counter("gw_bytes_total", "bytes on the wire", proto, instance, "dir"),
		auth:        f.histogram("gw_auth_seconds", "time that authentication took", proto, instance, "result"),
	}
}

// forget drops the series of an instance.
func (f families) forget(of prometheus.Labels) {
	for _, v := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{f.connections, f.clients, f.connects, f.disconnects, f.rejects, f.frames, f.frameErrors, f.messages, f.bytes, f.auth} {
		v.DeletePartialMatch(of)
	}
}

// factory makes collectors that are registered. A name used twice is a fault of
// the program and panics at its start.
type factory struct{ reg *prometheus.Registry }

func (f factory) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	f.reg.MustRegister(v)
	return v
}

func (f factory) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	f.reg.MustRegister(v)
	return v
}

// histogram spans what was measured: 20 us for a publish in process, seconds
// when a stream's leader is lost.
func (f factory) histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help,
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, labels)
	f.reg.MustRegister(v)
	return v
}
