// Package session is the service that keeps messages for clients and delivers
// them: what it does outlives connections, edges and itself.
//
//	GW_DATA --fan-out--> GW_QUEUE_0 (a subject each) --deliver--> gw.edge.<node>.dn.<client> --> device
//	others --commands------^ deleted by sequence <------------ "+ACK"
//
// Any number of processes share 64 partitions (package ownership): a client
// belongs to one for ever, and a partition has one owner by a lease. All that an
// owner knows in memory lives with that lease (partition.go); the streams and
// GW_SESSIONS are the truth.
//
//   - ownership shares the partitions: even shares, take-over after a death (pkg/ownership)
//     within 10 s, after a goodbye within 1 s.
//   - fanout says which queues a message goes into, and stores copies in order.
//     reader.go reads GW_DATA once for all partitions of a process.
//   - queue says what to send when, to one device: order, window, repetition.
//   - pkg/wheel is the clock of everything: repetition, sleep, expiry.
//   - open.go, subscribe.go, leave.go are what edges ask for; records.go keeps
//     GW_SESSIONS; clock.go ends sleeps and sessions; commands.go follows what
//     others put into a client's queue.
//
// # States
//
// A session is connected, asleep or offline, and awake while a sleeping client
// fetches what waits. Awake is not written down: an owner after us lets the
// client sleep on, and it wakes up again. A client that sleeps longer than it
// said is lost: its will is published, then the record says offline, or the
// session ends if it was a clean one. Offline for longer than its expiry it ends,
// and its queue with it.
//
// # Promises
//
// A message that GW_DATA stored after a subscribe was answered is delivered at
// least once, in the order of GW_DATA at its first delivery, unless the queue
// was full then (counted, event "dropped"). It leaves the queue only after the
// device's acknowledgement, or after its dead letter is stored, or when its time
// (Nats-TTL) is over, or when the subscription is forgotten.
//
// # Fencing
//
// The lease is looked at before every send, every delete and every write. What
// is checked and then delayed can still do no harm: copies carry ids, a delete
// names the sequence of a message that a device acknowledged, records are
// written by revision, and edges take a repeated delivery for the same one. The
// exception is a purge that is delayed for longer than the lease.
//
// # When a client counts as gone
//
// "-GONE" ends delivery to that one subscription, and the session is offline
// when none is left. "No responders" must last for Config.Lost: an edge that
// reconnects to NATS has no subscription for a moment. The end of a node's lease
// ends delivery to all that were on it.
//
// # What remains
//
//   - The position of the fan-out is written every second (GW_PARTITIONS,
//     pos.<p>). What was copied since is copied again by the next owner, and is
//     single by the duplicate window of GW_QUEUE_0 (10 minutes). Doubles need a
//     crash, and nobody to take over for the whole window.
//   - One copy at a time is on its way to one queue, so a single client takes no
//     more than one round trip each: thousands a second, less on R3.
//   - How often a message was tried is known to one owner. The first messages
//     that its successor sends are marked as sent before, for they may have been.
//   - A session that is ended, by an owner that dies between deleting the record
//     and purging the queue, leaves its messages until the client id returns.
//   - A message beyond the server's size limit once our headers are added is
//     dropped with an event.
//   - Events are published without waiting and may be lost. Those of commands
//     are of the owner that saw them queued.
package session
