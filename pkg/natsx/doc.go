// Package natsx is how sluice uses NATS beyond plain messages: the embedded
// server ([Start]), a connection that never gives up and never sends late
// ([Connect]), keys that live while their holder does ([Lease]), and typed calls
// between services ([Handle], [Call], [Scatter]).
//
// Goroutines: a Service runs every call in its own and waits for them in
// [Service.Stop]; everything else runs in its caller's.
package natsx
