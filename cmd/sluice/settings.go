package main

import (
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

// nodeName is unique among processes of one host, and tells the host.
func nodeName(random string) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "node"
	}
	return host + "-" + random
}
