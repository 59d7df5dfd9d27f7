package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"sluice/pkg/config"
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

// Validate names every key that is wrong.
func (s *settings) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	port := func(n, low int) bool { return n >= low && n <= 65535 }
	check(s.ShutdownTimeout > 0, "shutdown_timeout: must be greater than 0")
	check(port(s.NATS.Port, -1) && s.NATS.Port != 0, "nats.port: must be from 1 to 65535, or -1")
	check(port(s.NATS.MQTTPort, -1), "nats.mqtt_port: must be from -1 to 65535")
	check(s.Data.Dir != "" || len(s.NATS.URLs) > 0, "data.dir: the embedded server needs one")
	check(s.Data.SyncInterval > 0, "data.sync_interval: must be greater than 0")
	check(slices.Contains([]string{"interval", "disk"}, s.Data.Durability), "data.durability: %q is not interval or disk", s.Data.Durability)
	check(s.Data.MaxAge >= 0, "data.max_age: must not be negative")
	check(s.Data.MaxBytes >= 0, "data.max_bytes: must not be negative")
	check(s.Data.Replicas >= 1 && s.Data.Replicas <= 5, "data.replicas: must be 1 to 5")
	check(s.Data.QueueLimit >= 1, "data.queue_limit: must be at least 1")
	check(s.Data.WorkLimit >= 1, "data.work_limit: must be at least 1")
	var l slog.Level
	check(l.UnmarshalText([]byte(s.Log.Level)) == nil, "log.level: %q is not debug, info, warn or error", s.Log.Level)
	check(slices.Contains([]string{"text", "json"}, s.Log.Format), "log.format: %q is not text or json", s.Log.Format)
	return errors.Join(errs...)
}

// nodeName is unique among processes of one host, and tells the host.
func nodeName(random string) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "node"
	}
	return host + "-" + random
}
