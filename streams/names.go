// Package streams is the one place that names what sluice keeps in NATS: every
// subject root, stream and bucket, with its configuration, and [Ensure], which
// makes them so. docs/subjects.md explains the contract to users.
package streams

import (
	"strconv"

	"sluice/pkg/api"
	"sluice/pkg/subject"
)

// Streams.
const (
	Data     = "GW_DATA"     // mounted topics, the data plane: roots computed from the instances
	Retained = "GW_RETAINED" // gw.ret.<mounted subject>: the last message of topics that keep it
	Raw      = "GW_RAW"      // gw.raw.<p>.<proto>.<inst>.<client>.<kind>: frames of message protocols as they came
	Commands = "GW_COMMANDS" // downlink topics of message protocols
	Work     = "GW_WORK"     // gw.work.<name>: work queues (STOMP /queue/name)
	Queue    = "GW_QUEUE_0"  // gw.q.<p>.<proto>.<inst>.<client>.<sub>: what waits for a client
	Dead     = "GW_DEAD"     // gw.dead.<reason>.<proto>.<inst>.<client>: given up
	Events   = "GW_EVENTS"   // gw.evt.<proto>.<inst>.<event>.<client>: the hooks
	Audit    = "GW_AUDIT"    // gw.audit.<who>.<verb>: management changes
)

// Buckets.
const (
	Nodes      = "GW_NODES"      // leases of processes
	Partitions = "GW_PARTITIONS" // leases of queue partitions
	Clients    = "GW_CLIENTS"    // owner of a client; revision = epoch
	Sessions   = "GW_SESSIONS"   // durable subscriptions
	Users      = "GW_USERS"      // built-in users of authn
	Banned     = "GW_BANNED"     // bans
)

// Media is the object store of data that is not for JSON: pictures of devices.
const Media = "GW_MEDIA"

// Headers written by the door, and by nobody else.
const (
	HdrProto    = "Gw-Proto"
	HdrInstance = "Gw-Instance"
	HdrClient   = "Gw-Client"
	HdrUser     = "Gw-User"
	HdrQoS      = "Gw-Qos"
	HdrRetain   = "Gw-Retain"
	HdrTs       = "Gw-Ts"      // RFC 3339 with milliseconds, UTC
	HdrProps    = "Gw-Props"   // further headers of the device's message, as a query string: a=1&b=2
	HdrSubject  = "Gw-Subject" // in queues and dead letters: where the message was published
	HdrSeq      = "Gw-Seq"     // in queues: its GW_DATA sequence; in deliveries: its queue sequence
	HdrEpoch    = "Gw-Epoch"   // in deliveries: the ownership they are meant for
	HdrAttempt  = "Gw-Attempt" // in deliveries: 1 for the first
	HdrPrev     = "Gw-Prev"    // in deliveries: queue sequence of the one before, 0 = none; shows gaps
	HdrSub      = "Gw-Sub"     // in deliveries: id of the durable subscription
	HdrQueue    = "Gw-Queue"   // in dead letters: the queue they come from
	HdrReason   = "Gw-Reason"  // in dead letters
	HdrDrained  = "Gw-Drained" // to an edge: nothing waits any more for a client that woke up
	HdrForm     = "Gw-Form"    // in GW_RAW: words of the edge on how the frame is to be read, such as the edition
	HdrRaw      = "Gw-Raw"     // of what was translated: <partition>.<GW_RAW sequence>
	// Of a command: the sender's word for it, which its answers carry, and the
	// subject where it wants errors and the device's general answers.
	HdrCorrelation = "Gw-Correlation"
	HdrResponse    = "Gw-Response"
	HdrContentType = "Content-Type"
)

// HdrMQTT is the QoS of what a client of nats-server's own MQTT published; the
// server writes it.
const HdrMQTT = "Nmqtt-Pub"

// TsFormat is that of HdrTs.
const TsFormat = "2006-01-02T15:04:05.000Z"

// WorkSubject is the subject of a work queue. The mountpoint is part of the
// name, so that tenants do not share queues.
func WorkSubject(name string) string { return "gw.work." + subject.Token(name) }

// WorkConsumer is the durable consumer that all subscribers of a queue share.
func WorkConsumer(name string) string { return "work-" + subject.Token(name) }

// RawSubject is where a frame of a message protocol lies:
// gw.raw.<p>.<proto>.<inst>.<client>.<kind>.
func RawSubject(k api.ClientKey, kind string) string {
	return "gw.raw." + strconv.Itoa(k.Partition()) + "." + k.String() + "." + subject.Token(kind)
}

// UntranslatedSubject is where a frame goes that the translator cannot decode:
// below the subject on which its translation would be published.
func UntranslatedSubject(subj string) string { return subj + ".raw" }

// RawFilter is all frames of a partition.
func RawFilter(partition int) string { return "gw.raw." + strconv.Itoa(partition) + ".>" }

// DeadSubject is where a message goes that was given up. key is
// api.ClientKey.String(), or the producer's when no client is known.
func DeadSubject(reason, key string) string { return "gw.dead." + reason + "." + key }

// EventSubject is gw.evt.<proto>.<inst>.<event>.<client>.
func EventSubject(proto, inst, event, client string) string {
	return "gw.evt." + subject.Token(proto) + "." + subject.Token(inst) + "." + event + "." + subject.Token(client)
}

// EdgeSubject addresses one edge node: verb is dn, kick, list, trace or drain.
// key is api.ClientKey.String(), "" for verbs about the node.
func EdgeSubject(node, verb, key string) string {
	s := "gw.edge." + subject.Token(node) + "." + verb
	if key != "" {
		s += "." + key
	}
	return s
}

// SessionSubject is where the owner of a client's partition answers:
// gw.svc.session.<verb>.<p>.
func SessionSubject(verb string, k api.ClientKey) string {
	return ServiceSubject("session", verb+"."+strconv.Itoa(k.Partition()))
}

// WakeSubject is where GW_QUEUE tells of what it stores in a partition: a hint
// with the body, never the record.
func WakeSubject(partition int) string { return "gw.wake." + strconv.Itoa(partition) + ".>" }

// SessionKey is the key of a client's record in GW_SESSIONS: <p>.<proto>.<inst>.<client>.
func SessionKey(k api.ClientKey) string { return strconv.Itoa(k.Partition()) + "." + k.String() }

// ServiceSubject is a NATS micro endpoint, gw.svc.<service>.<verb>.
func ServiceSubject(service, verb string) string { return "gw.svc." + service + "." + verb }
