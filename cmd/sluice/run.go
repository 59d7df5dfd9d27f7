package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// serviceNames are the services that are not edges, in the order of their start.
func serviceNames() []string { return []string{"authn", "session", "translator", "management"} }

func runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run the gateway: all services, or those named",
		ArgsUsage: "[SERVICE...]",
		Description: "Services: " + strings.Join(allServices(), ", ") + ".\n" +
			"Without --nats an embedded nats-server keeps everything in --data. With --nats the services\n" +
			"find each other there, so each can run in its own process:\n" +
			"  sluice run --nats nats://10.0.0.5:4222 stomp\n" +
			"Without a file all listeners are on loopback and anonymous devices are let in.",
		Flags: append(natsFlags(),
			&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Usage: "configuration `FILE`"},
			&cli.StringFlag{Name: "data", Usage: "`DIR` of the embedded server's store (default ./data)"},
			&cli.StringFlag{Name: "node", Usage: "`NAME` of this process, unique in the cluster"},
			&cli.IntFlag{Name: "nats-port", Usage: "of the embedded server (default 4222)"},
			&cli.IntFlag{Name: "mqtt-port", Usage: "of the embedded server's MQTT listener (default 1883, 0 = off)"},
			&cli.StringFlag{Name: "http", Usage: "`ADDR` of management HTTP (default 127.0.0.1:18083)"},
			&cli.StringFlag{Name: "log-level", Usage: "debug, info, warn, error"},
			&cli.StringFlag{Name: "log-format", Usage: "text, json"},
			&cli.DurationFlag{Name: "shutdown-timeout", Usage: "for a clean end (default 15s)"},
		),
		Action: func(c *cli.Context) error {
			p, err := planFromFlags(c)
			if err != nil {
				return err
			}
			return runPlan(c.Context, p, natsOptions(c), c.App.Writer, c.App.ErrWriter)
		},
	}
}

func allServices() []string {
	names := serviceNames()
	for _, k := range kinds() {
		names = append(names, k.Proto)
	}
	return names
}

func planFromFlags(c *cli.Context) (p *plan, err error) {
	if file := c.String("config"); file != "" {
		p, err = loadPlan(file)
	} else {
		p, err = developmentPlan()
	}
	if err != nil {
		return nil, err
	}
	p.override(c)
	if err := p.Validate(); err != nil {
		return nil, exit{2, err}
	}
	p.services = c.Args().Slice()
	for _, s := range p.services {
		if !slices.Contains(allServices(), s) {
			return nil, exit{2, fmt.Errorf("unknown service %q; known are %s", s, strings.Join(allServices(), ", "))}
		}
	}
	if len(p.services) == 0 {
		p.services = allServices()
	}
	return p, nil
}

// override lets flags win over the file.
func (p *plan) override(c *cli.Context) {
	text := func(flag string, to *string) {
		if c.IsSet(flag) {
			*to = c.String(flag)
		}
	}
	text("data", &p.Data.Dir)
	text("node", &p.Node)
	text("http", &p.HTTP.Bind)
	text("log-level", &p.Log.Level)
	text("log-format", &p.Log.Format)
	if c.IsSet("nats") {
		p.NATS.URLs = c.StringSlice("nats")
	}
	if c.IsSet("nats-port") {
		p.NATS.Port = c.Int("nats-port")
	}
	if c.IsSet("mqtt-port") {
		p.NATS.MQTTPort = c.Int("mqtt-port")
	}
	if c.IsSet("shutdown-timeout") {
		p.ShutdownTimeout = c.Duration("shutdown-timeout")
	}
}

// runs tells whether a service is to run in this process.
func (p *plan) runs(service string) bool { return slices.Contains(p.services, service) }
