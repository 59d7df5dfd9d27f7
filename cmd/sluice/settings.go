package main

import (
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"sluice/pkg/config"
	"sluice/pkg/gateway"
	"sluice/pkg/subject"
	"sluice/streams"
)

// settings are the process's own part of the configuration file. Flags win over
// the file.
type settings struct {
	Node            string        `conf:"node" doc:"name of this process among all; default: host name and a random part"`
	ShutdownTimeout time.Duration `conf:"shutdown_timeout" doc:"for devices to be told goodbye and publishes to be stored"`
	NATS            natsSettings  `conf:"nats" doc:"the embedded server, or an external one when urls are given"`
	Data            dataSettings  `conf:"data" doc:"what is kept"`
	HTTP            httpSettings  `conf:"http" doc:"management: /metrics, /livez, /readyz"`
	Log             logSettings   `conf:"log"`
	Gateway         *config.Node  `conf:"gateway" doc:"instances: <protocol>.<name> { ... }"`
}

type natsSettings struct {
	URLs     []string `conf:"urls" doc:"external servers; empty: an embedded one"`
	Host     string   `conf:"host" doc:"embedded: where it listens"`
	Port     int      `conf:"port" doc:"embedded: NATS clients; -1 = any free one"`
	MQTTPort int      `conf:"mqtt_port" doc:"embedded: MQTT clients of nats-server; 0 = off, -1 = any free one"`
}

type dataSettings struct {
	Dir          string        `conf:"dir" doc:"embedded: where JetStream stores"`
	SyncInterval time.Duration `conf:"sync_interval" doc:"embedded: how often the disk is told to keep what was written"`
	Durability   string        `conf:"durability" doc:"embedded: interval (fsync each sync_interval) or disk (before every acknowledgement)"`
	Roots        []string      `conf:"roots" doc:"further subjects of GW_DATA, for mountpoints without a literal first level"`
	MaxAge       time.Duration `conf:"max_age" doc:"of GW_DATA; \"0s\" = for ever"`
	MaxBytes     config.Size   `conf:"max_bytes" doc:"of GW_DATA; 0 = unlimited"`
	Replicas     int           `conf:"replicas" doc:"of all streams and buckets"`
	QueueLimit   int           `conf:"queue_limit" doc:"messages that wait for one durable subscription"`
	WorkLimit    int           `conf:"work_limit" doc:"messages that wait in one work queue"`
}

type httpSettings struct {
	Bind string `conf:"bind" doc:"\"\" = off"`
}

type logSettings struct {
	Level  string `conf:"level" doc:"debug, info, warn, error"`
	Format string `conf:"format" doc:"text or json"`
}

func defaultSettings() settings {
	o := streams.DefaultOptions()
	return settings{
		ShutdownTimeout: 15 * time.Second,
		NATS:            natsSettings{Host: "127.0.0.1", Port: 4222, MQTTPort: 1883},
		Data: dataSettings{Dir: "./data", SyncInterval: time.Second, Durability: "interval", MaxAge: o.DataMaxAge,
			Replicas: o.Replicas, QueueLimit: o.QueueLimit, WorkLimit: o.WorkLimit},
		HTTP: httpSettings{Bind: "127.0.0.1:18083"},
		Log:  logSettings{Level: "info", Format: "text"},
	}
}

// Validate names the key that is wrong.
func (s *settings) Validate() error {
	if !slices.Contains([]string{"interval", "disk"}, s.Data.Durability) {
		return fmt.Errorf("data.durability: %q is not interval or disk", s.Data.Durability)
	}
	if s.Data.Replicas < 1 || s.Data.Replicas > 5 {
		return fmt.Errorf("data.replicas: must be 1 to 5")
	}
	if s.Data.QueueLimit < 1 || s.Data.WorkLimit < 1 {
		return fmt.Errorf("data: queue_limit and work_limit must be at least 1")
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(s.Log.Level)); err != nil {
		return fmt.Errorf("log.level: %q is not debug, info, warn or error", s.Log.Level)
	}
	if !slices.Contains([]string{"text", "json"}, s.Log.Format) {
		return fmt.Errorf("log.format: %q is not text or json", s.Log.Format)
	}
	return nil
}

// instance is one configured gateway, decoded and valid.
type instance struct {
	kind gateway.Kind
	name string
	conf gateway.Config
}

func (i instance) String() string { return i.kind.Proto + "." + i.name }

// plan is all that a process is told to run.
type plan struct {
	settings
	instances []instance
	services  []string
}

// developmentPlan is what runs without a file: every protocol on loopback with
// its default port, anonymous devices let in.
func developmentPlan() (*plan, error) {
	p := &plan{settings: defaultSettings()}
	for _, k := range kinds() {
		n, err := config.Parse("built-in", []byte(k.Development))
		if err != nil {
			return nil, err
		}
		c, err := k.Decode(n)
		if err != nil {
			return nil, err
		}
		p.instances = append(p.instances, instance{k, "default", c})
	}
	return p, nil
}

// loadPlan reads and checks a configuration file.
func loadPlan(path string) (*plan, error) {
	root, err := config.ParseFile(path)
	if err != nil {
		return nil, err
	}
	p := &plan{settings: defaultSettings()}
	if err := config.Decode(root, &p.settings); err != nil {
		return nil, err
	}
	if p.Gateway != nil {
		if p.instances, err = decodeInstances(p.Gateway); err != nil {
			return nil, err
		}
	}
	return p, p.check()
}

// check looks at what no single block can know: binds used twice, anonymous
// access outside loopback that nobody wrote down, roots.
func (p *plan) check() error {
	seen := map[string]string{}
	for _, i := range p.instances {
		for id, bind := range i.conf.Common().Binds() {
			where := i.String() + " listener." + id
			host, port, err := net.SplitHostPort(bind)
			if err != nil {
				return fmt.Errorf("%s: bind %q: %w", where, bind, err)
			}
			if host == "0.0.0.0" || host == "::" {
				host = ""
			}
			for other, at := range seen {
				h, p, _ := net.SplitHostPort(other)
				if port == p && port != "0" && (h == host || h == "" || host == "") {
					return fmt.Errorf("%s: bind %s is used by %s", where, bind, at)
				}
			}
			seen[net.JoinHostPort(host, port)] = where
		}
	}
	_, err := p.streamOptions()
	return err
}

// streamOptions computes the roots of GW_DATA from all mountpoints.
func (p *plan) streamOptions() (streams.Options, error) {
	o := streams.Options{
		Roots: slices.Clone(p.Data.Roots), Replicas: p.Data.Replicas, DataMaxAge: p.Data.MaxAge,
		DataMaxBytes: int64(p.Data.MaxBytes), QueueLimit: p.Data.QueueLimit, WorkLimit: p.Data.WorkLimit,
	}
	for _, i := range p.instances {
		for _, mount := range i.conf.Common().Mountpoints() {
			root, ok := subject.Root(mount)
			if !ok && len(p.Data.Roots) == 0 {
				return o, fmt.Errorf("gateway.%s: mountpoint %q has no literal first level: set data.roots to the subjects that are to be kept", i, mount)
			}
			if ok {
				o.Roots = append(o.Roots, root)
			}
		}
	}
	if len(o.Roots) == 0 {
		o.Roots = streams.DefaultOptions().Roots
	}
	o.Roots = streams.MergeRoots(o.Roots)
	return o, streams.CheckRoots(o.Roots)
}

// decodeInstances reads the gateway block: "stomp.default { ... }", or the
// seed's "stomp { ... }" for the instance default.
func decodeInstances(n *config.Node) (all []instance, err error) {
	known := map[string]gateway.Kind{}
	for _, k := range kinds() {
		known[k.Proto] = k
	}
	for _, block := range n.Children() {
		k, ok := known[block.Name()]
		if !ok {
			return nil, block.Errorf("unknown protocol; known are %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		named := map[string]*config.Node{"default": block}
		if k.Named(block) {
			named = map[string]*config.Node{}
			for _, c := range block.Children() {
				named[c.Name()] = c
			}
		}
		for _, name := range slices.Sorted(maps.Keys(named)) {
			c, err := k.Decode(named[name])
			if err != nil {
				return nil, err
			}
			all = append(all, instance{k, name, c})
		}
	}
	return all, nil
}

// nodeName is unique among processes of one host, and tells the host.
func nodeName(random string) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "node"
	}
	return host + "-" + random
}
