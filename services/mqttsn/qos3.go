package mqttsn

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/mqttsn"
)

// qos3 publishes what devices send with QoS -1, without being connected
// (MQTT-SN 1.2 §6.8): by one client of the listener's own, which comes with the
// first message.
type qos3 struct {
	server *server

	mu      sync.Mutex
	client  gateway.Client
	opening bool
	closed  bool
	waiting []gateway.Message
	pause   time.Duration // after a refusal nothing is tried before
}

const (
	maxQoS3   = 64 // messages that wait for the client
	qos3Pause = 5 * time.Second
)

// publish takes a message; nobody is told what becomes of it.
func (q *qos3) publish(p *mqttsn.Packet) {
	s := q.server
	name, rc := s.edge.static(p)
	if rc != mqttsn.Accepted || !s.edge.conf.EnableQoS3 || len(p.Data) > int(s.edge.conf.MaxPayload) {
		s.env.Metrics.FrameError("qos3")
		return
	}
	m := gateway.Message{Topic: name, Payload: bytes.Clone(p.Data), Retain: p.Flags.Retain}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
	case q.client != nil:
		q.pass(m)
	case len(q.waiting) < maxQoS3 && s.now() >= q.pause:
		q.waiting = append(q.waiting, m)
		if !q.opening {
			q.opening = true
			s.goroutines.Go(q.open)
		}
	default:
		s.env.Metrics.FrameError("qos3")
	}
}

// pass is called with mu held.
func (q *qos3) pass(m gateway.Message) {
	if n, window := q.client.Inflight(); n < window && q.client.Publish(q.server.life, m) == nil {
		return
	}
	q.server.env.Metrics.FrameError("qos3")
}

// open lets the client in, and serves it until it must go.
func (q *qos3) open() {
	s := q.server
	h := gateway.Hello{
		ClientID:  s.edge.conf.QoS3ClientID + "-" + strings.ToLower(rand.Text()[:8]), // there is one on each node
		ProtoName: "MQTT-SN", ProtoVer: "1.2", Clean: true, Peer: "127.0.0.1:0",
	}
	client, err := s.bounded(s.edge.conf.AuthTimeout, func(ctx context.Context) (gateway.Client, error) { return s.door.Connect(ctx, h) })
	q.mu.Lock()
	q.opening = false
	waiting := q.waiting
	q.waiting = nil
	if err != nil || q.closed {
		q.pause = s.now() + qos3Pause
		q.mu.Unlock()
		if err == nil {
			client.Close(gateway.ErrShutdown)
			return
		}
		s.env.Log.Warn("QoS -1 cannot be published", "client", h.ClientID, "error", err)
		return
	}
	q.client = client
	for _, m := range waiting {
		q.pass(m)
	}
	q.mu.Unlock()
	q.serve(client)
}

// serve empties the client's box: nobody is told of what was lost.
func (q *qos3) serve(client gateway.Client) {
	why := gateway.ErrShutdown
	var events []gateway.Event
	for done := false; !done; {
		select {
		case <-client.Wake():
			events = client.Take(events[:0])
			for _, e := range events {
				if e.Kind == gateway.Delivered { // it has not subscribed to anything
					e.Delivery.Done(gateway.ErrClosed)
				}
			}
			clear(events)
		case why = <-client.Kicked():
			done = true
		case <-q.server.life.Done():
			done = true
		}
	}
	q.mu.Lock()
	q.client = nil
	q.pause = q.server.now() + qos3Pause
	q.mu.Unlock()
	client.Close(why)
}

// close has no further client come.
func (q *qos3) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}
