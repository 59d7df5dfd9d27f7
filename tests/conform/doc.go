// Package conform is what every edge promises, as one suite of tests: an edge
// gives a [Suite] with a simulated device of its protocol, and [Run] checks one
// promise a subtest, in a [House] of real parts: an embedded NATS server, the
// services, and two edge nodes.
//
// The suite sees devices only through [Device], and the house only through what
// everybody else sees: streams, buckets, events, management, metrics, logs.
//
// What a protocol cannot do is said in [Capabilities]; the subtests about it do
// not exist then. Nothing is ever skipped.
package conform
