// Package session is the service that keeps messages for durable subscriptions
// and delivers them: what it does outlives connections, edges and itself.
//
//	GW_DATA --fan-out--> GW_QUEUE_0 (a subject each) --deliver--> gw.edge.<node>.dn.<client> --> device
//	                          ^ deleted by sequence <------------ "+ACK"
//
// Any number of processes run it, one works (lead.go). All that it knows in
// memory lives with its term (term.go); the streams and GW_SESSIONS are the
// truth. The parts: index.go says whose a message is, lanes.go stores copies in
// order, fanout.go reads GW_DATA, flight.go says what to send when, pool.go and
// deliver.go do it, records.go and verbs.go keep GW_SESSIONS. index, lanes,
// flight and pool know nothing of NATS.
//
// # Promises
//
// A message that GW_DATA stored after a subscribe was answered is delivered at
// least once, in the order of GW_DATA at its first delivery, unless the queue
// was full then (counted, event "dropped"). It leaves the queue only after the
// device's acknowledgement, or after its dead letter is stored, or when the
// subscription is forgotten or gets other subjects.
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
// reconnects to NATS has no subscription for a moment, and does not know that it
// would have to ask for delivery again. A term that ends in peace sends nothing
// more and waits some 200 ms for answers, so that the next owner repeats little.
//
// # What remains
//
//   - Copies are single within the duplicate window of GW_QUEUE_0 (10 minutes).
//     A GW_DATA message is acknowledged as soon as its copies are stored, and
//     at most 4096 are not, so a crash repeats milliseconds of work. Doubles
//     need both: a crash between storing and acknowledging, and nobody active,
//     or no acknowledgement getting through, for the whole window after it. The
//     highest Gw-Seq in a queue would not tell, since acknowledged messages
//     leave it.
//   - One copy at a time is on its way to one queue, so a single subscription
//     takes no more than one round trip each: thousands a second, less on R3.
//   - How often a message was tried is known to one term: after a takeover of
//     the service it begins at 1 again. A reconnect of the device raises
//     Gw-Attempt; only refusals count towards the dead letter.
//   - If somebody deletes the consumer "session-fanout" while no process is
//     active, what was published in between is not delivered.
//   - A message beyond the server's size limit once our headers are added is
//     dropped with an event.
//   - Events are published without waiting and may be lost.
//
// The next cut is to have a term for each of the 64 partitions instead of one:
// a term takes a lease key and a partition filter, the fan-out its own consumer.
package session
