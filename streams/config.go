package streams

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Options are the operator's choices for what is kept.
type Options struct {
	Roots        []string      // subjects of GW_DATA: subject.Root of every mountpoint, and data.roots
	Reports      []string      // those of Roots that the translator publishes on
	Commands     []string      // subjects of GW_COMMANDS; none = no message protocol, no stream
	RawMaxAge    time.Duration // of GW_RAW; 0 = for ever
	RawMaxBytes  int64         // of GW_RAW; 0 = unlimited
	Replicas     int           // of every stream and bucket: 1, 3 or 5
	DataMaxAge   time.Duration // of GW_DATA; 0 = for ever
	DataMaxBytes int64         // of GW_DATA; 0 = unlimited
	QueueLimit   int           // messages that wait for one durable subscription
	WorkLimit    int           // messages that wait in one work queue
	// Keep leaves what exists as it is, but for new roots: a process that was
	// started without a configuration must not undo another's.
	Keep bool
}

// DefaultOptions keeps three days of data on one replica.
func DefaultOptions() Options {
	return Options{Roots: []string{"iot.>"}, Replicas: 1, DataMaxAge: 72 * time.Hour, RawMaxAge: 72 * time.Hour, QueueLimit: 1000, WorkLimit: 100_000}
}

// DuplicateWindow is how long GW_DATA and GW_WORK remember a Nats-Msg-Id. The
// door gives a publish up well before (gateway.confirmTimeout), so a repeat of
// it always falls inside.
const DuplicateWindow = time.Minute

// MarkerTTL is how long the marker of an expired or deleted key stays for
// watchers. Keys come and go with devices: without it the buckets would only grow.
const MarkerTTL = time.Minute

func streamConfigs(o Options) []jetstream.StreamConfig {
	limit := func(c jetstream.StreamConfig) jetstream.StreamConfig {
		c.Storage, c.Replicas, c.AllowDirect = jetstream.FileStorage, o.Replicas, true
		c.MaxConsumers = -1 // unset means a server default of 1000
		return c
	}
	all := []jetstream.StreamConfig{
		limit(jetstream.StreamConfig{
			Name: Data, Description: "messages of devices and applications", Subjects: o.Roots,
			MaxAge: o.DataMaxAge, MaxBytes: orUnlimited(o.DataMaxBytes), Discard: jetstream.DiscardOld,
			Duplicates: DuplicateWindow, AllowMsgTTL: true, AllowAtomicPublish: true,
		}),
		limit(jetstream.StreamConfig{
			Name: Retained, Description: "retained messages", Subjects: []string{retainedRoot + ">"},
			MaxMsgsPerSubject: 1, Discard: jetstream.DiscardOld, Duplicates: DuplicateWindow, AllowMsgTTL: true, AllowRollup: true,
		}),
		limit(jetstream.StreamConfig{
			Name: Work, Description: "work queues", Subjects: []string{"gw.work.>"},
			Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
			MaxMsgsPerSubject: int64(o.WorkLimit), Duplicates: DuplicateWindow, AllowMsgTTL: true, AllowAtomicPublish: true,
		}),
		limit(jetstream.StreamConfig{
			Name: Queue, Description: "what waits for clients", Subjects: []string{"gw.q.>"},
			Discard: jetstream.DiscardNew, DiscardNewPerSubject: true, MaxMsgsPerSubject: int64(o.QueueLimit),
			Duplicates: 10 * time.Minute, AllowMsgTTL: true,
			RePublish: &jetstream.RePublish{Source: "gw.q.>", Destination: "gw.wake.>"},
		}),
		limit(jetstream.StreamConfig{
			Name: Dead, Description: "messages given up", Subjects: []string{"gw.dead.>"},
			MaxAge: 30 * 24 * time.Hour, Discard: jetstream.DiscardOld, Duplicates: 10 * time.Minute,
		}),
		limit(jetstream.StreamConfig{
			Name: Events, Description: "what happens to clients", Subjects: []string{"gw.evt.>"},
			MaxAge: 24 * time.Hour, MaxBytes: 256 << 20, Discard: jetstream.DiscardOld, Duplicates: time.Second,
		}),
		limit(jetstream.StreamConfig{
			Name: Audit, Description: "management changes", Subjects: []string{"gw.audit.>"},
			MaxAge: 365 * 24 * time.Hour, Discard: jetstream.DiscardOld,
		}),
		limit(jetstream.StreamConfig{
			Name: Raw, Description: "frames of message protocols as they came", Subjects: []string{"gw.raw.>"},
			MaxAge: o.RawMaxAge, MaxBytes: orUnlimited(o.RawMaxBytes), Discard: jetstream.DiscardOld, Duplicates: DuplicateWindow,
		}),
	}
	if len(o.Commands) == 0 {
		return all
	}
	return append(all, limit(jetstream.StreamConfig{
		Name: Commands, Description: "commands of applications for devices", Subjects: o.Commands,
		MaxAge: 24 * time.Hour, Discard: jetstream.DiscardOld, Duplicates: DuplicateWindow, AllowMsgTTL: true,
	}))
}

func bucketConfigs(o Options) []jetstream.KeyValueConfig {
	of := func(name, what string, marker time.Duration) jetstream.KeyValueConfig {
		return jetstream.KeyValueConfig{
			Bucket: name, Description: what, History: 1, Replicas: o.Replicas,
			Storage: jetstream.FileStorage, LimitMarkerTTL: marker,
		}
	}
	return []jetstream.KeyValueConfig{
		of(Nodes, "leases of processes", MarkerTTL),
		of(Partitions, "leases of queue partitions", MarkerTTL),
		of(Clients, "owners of clients", MarkerTTL),
		of(Sessions, "durable subscriptions", MarkerTTL),
		of(Users, "built-in users", 0),
		of(Banned, "bans", MarkerTTL),
	}
}

func orUnlimited(n int64) int64 {
	if n <= 0 {
		return -1
	}
	return n
}
