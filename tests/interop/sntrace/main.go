// Command sntrace is a simulated MQTT-SN device that goes through every exchange
// with a running gateway, and prints each datagram of both sides in hex. An
// independent decoder then says whether they mean what they should.
package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"sluice/pkg/sim"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: sntrace HOST:PORT")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "sntrace:", err)
		os.Exit(1)
	}
}

// tracer prints datagrams, and dials.
type tracer struct {
	addr string
	mu   sync.Mutex
}

func (t *tracer) options(id string, clean bool) sim.MQTTSNOptions {
	return sim.MQTTSNOptions{
		ClientID: id, Clean: clean, Keepalive: 30, AutoAck: true,
		Dial: func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "udp", t.addr) },
		Trace: func(_ bool, b []byte) {
			t.mu.Lock()
			defer t.mu.Unlock()
			fmt.Println(hex.EncodeToString(b))
		},
	}
}

func run(addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	t := &tracer{addr: addr}
	o := t.options("sender", true)
	o.Will = &sim.MQTTSNWill{Topic: "trace/will", Payload: []byte("gone"), QoS: 1, Retain: true}
	from, err := sim.DialMQTTSN(ctx, o)
	if err != nil {
		return err
	}
	to, err := sim.DialMQTTSN(ctx, t.options("receiver", false))
	if err != nil {
		return err
	}
	steps := []func() error{
		func() error { _, err := from.SearchGw(ctx); return err },
		func() error { _, err := to.Subscribe(ctx, "trace/+", 2); return err },
		func() error { _, err := to.Subscribe(ctx, "ab", 1); return err },
		func() error { return from.Publish(ctx, "trace/0", []byte("zero"), 0, false) },
		func() error { return from.Publish(ctx, "trace/1", []byte("one"), 1, true) },
		func() error { return from.Publish(ctx, "trace/2", []byte("two"), 2, false) },
		func() error { return from.PublishShort(ctx, "ab", make([]byte, 300), 1) },
		func() error { return from.PublishShort(ctx, "ab", []byte("-1"), -1) },
		func() error { return from.Ping(ctx) },
		func() error {
			for range 4 {
				if _, err := to.Next(ctx); err != nil {
					return err
				}
			}
			return nil
		},
		func() error {
			return from.UpdateWill(ctx, &sim.MQTTSNWill{Topic: "trace/w2", Payload: []byte("really")})
		},
		func() error { return to.Sleep(ctx, 300) },
		func() error { return from.Publish(ctx, "trace/1", []byte("while asleep"), 1, false) },
		func() error { return to.Wake(ctx) },
		func() error { return from.UpdateWill(ctx, nil) },
		func() error { return to.Connect(ctx) },
		func() error { return to.Unsubscribe(ctx, "trace/+") },
		func() error { return to.Close(ctx) },
		func() error { return from.Close(ctx) },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}
