// Package metrics counts what a process does, for Prometheus. It alone imports
// client_golang.
//
// A [Metrics] has its own registry and is passed down; two of them in one
// process do not meet. Everything about one gateway is counted through its
// [Instance], which has looked all its series up beforehand. All methods may be
// called on nil, and then do nothing.
//
// Labels are the protocol, the instance and small enums, never a client. Every
// series that can be known stands at 0 from the beginning; a value that was not
// known gets its own series up to a limit, and "other" above it.
package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the collectors of one process.
type Metrics struct {
	reg *prometheus.Registry
	of  families // by instance

	queue, pending, connected, subscriptions prometheus.Gauge
	retries, panics                          prometheus.Counter
	stored, refused                          prometheus.Observer // gw_publish_ack_seconds
	dead                                     *enum
	translated, commands                     *prometheus.CounterVec
}

// New makes the collectors with those of the Go runtime and the process.
// version is that of the program, for gw_build_info.
func New(version string) *Metrics {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f := factory{reg}
	ack := f.histogram("gw_publish_ack_seconds", "time until JetStream acknowledged or refused a publish", "result")
	dead := f.counter("gw_dead_total", "messages given up", "reason")
	f.gauge("gw_build_info", "1, labelled with what runs", "version", "go_version").WithLabelValues(version, runtime.Version()).Set(1)
	return &Metrics{
		reg:           reg,
		of:            newFamilies(f),
		queue:         f.gauge("gw_queue_messages", "messages that wait for durable subscriptions").WithLabelValues(),
		pending:       f.gauge("gw_publish_pending", "publishes that JetStream has not acknowledged yet").WithLabelValues(),
		connected:     f.gauge("gw_nats_connected", "1 while the connection to NATS stands").WithLabelValues(),
		subscriptions: f.gauge("gw_subscriptions", "distinct filters that the process subscribes to in NATS").WithLabelValues(),
		retries:       f.counter("gw_retries_total", "publishes and deliveries tried again").WithLabelValues(),
		panics:        f.counter("gw_panics_total", "panics that a guard caught").WithLabelValues(),
		commands:      f.counter("gw_commands_total", "commands of applications for devices", "result"),
		translated:    f.counter("gw_translated_total", "messages made of raw frames, or raw because they could not be read", "proto", "result"),
		stored:        ack.WithLabelValues("ok"),
		refused:       ack.WithLabelValues("failed"),
		dead:          newEnum(dead, nil, dynamic, "max_deliver", "expired", "refused"),
	}
}

// Handler serves /metrics.
func (m *Metrics) Handler() http.Handler {
	if m == nil {
		return http.NotFoundHandler()
	}
	return promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{Registry: m.reg})
}

// QueueMessages sets the number of messages that wait for durable subscriptions.
func (m *Metrics) QueueMessages(n int) {
	if m != nil {
		m.queue.Set(float64(n))
	}
}

// PublishPending sets the number of publishes that are not acknowledged.
func (m *Metrics) PublishPending(n int) {
	if m != nil {
		m.pending.Set(float64(n))
	}
}

// PublishAck counts the outcome of a publish into JetStream and how long it took.
func (m *Metrics) PublishAck(took time.Duration, ok bool) {
	if m == nil {
		return
	}
	if ok {
		m.stored.Observe(took.Seconds())
	} else {
		m.refused.Observe(took.Seconds())
	}
}

// NATSConnected sets whether the connection to NATS stands; it fits
// natsx.Options.OnState.
func (m *Metrics) NATSConnected(yes bool) {
	if m == nil {
		return
	}
	if yes {
		m.connected.Set(1)
	} else {
		m.connected.Set(0)
	}
}

// Subscriptions sets the number of NATS subscriptions made for devices.
func (m *Metrics) Subscriptions(n int) {
	if m != nil {
		m.subscriptions.Set(float64(n))
	}
}

// Retry counts a publish or delivery that is tried again.
func (m *Metrics) Retry() {
	if m != nil {
		m.retries.Inc()
	}
}

// Dead counts a message that was given up.
func (m *Metrics) Dead(reason string) {
	if m != nil {
		m.dead.get(reason).Inc()
	}
}

// Translated counts what became of raw frames.
func (m *Metrics) Translated(proto string, ok bool) {
	if m == nil {
		return
	}
	result := "ok"
	if !ok {
		result = "raw"
	}
	m.translated.WithLabelValues(proto, result).Inc()
}

// Command counts a command: "queued" or "refused".
func (m *Metrics) Command(result string) {
	if m != nil {
		m.commands.WithLabelValues(result).Inc()
	}
}

// Panic counts a panic that a guard caught.
func (m *Metrics) Panic() {
	if m != nil {
		m.panics.Inc()
	}
}
