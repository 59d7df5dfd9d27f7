// Command snecho is a simulated MQTT-SN device that publishes what it is told on
// <prefix>/to/<name> again on <prefix>/from/<name>, with QoS 1 both ways. It says
// "ready" when it has subscribed, and works until it is ended.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"sluice/pkg/sim"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: snecho HOST:PORT PREFIX")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2]); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "snecho:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr, prefix string) error {
	d, err := sim.DialMQTTSN(ctx, sim.MQTTSNOptions{
		ClientID: "echo", Clean: true, Keepalive: 300, AutoAck: true,
		Dial: func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "udp", addr) },
	})
	if err != nil {
		return err
	}
	defer d.Cut()
	to := prefix + "/to/"
	if granted, err := d.Subscribe(ctx, to+"+", 1); err != nil || granted != 1 {
		return fmt.Errorf("subscribed with QoS %d: %w", granted, err)
	}
	fmt.Println("ready")
	for {
		m, err := d.Next(ctx)
		if err != nil {
			return err
		}
		if m.QoS != 1 {
			return fmt.Errorf("%s came with QoS %d", m.Topic, m.QoS)
		}
		if err := d.Publish(ctx, prefix+"/from/"+strings.TrimPrefix(m.Topic, to), m.Payload, 1, false); err != nil {
			return err
		}
	}
}
