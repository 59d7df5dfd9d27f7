// Package stomp is the STOMP edge: it terminates STOMP 1.0, 1.1 and 1.2 over
// TCP, TLS and WebSocket, and reaches NATS only through the door of
// pkg/gateway.
//
// Destinations are topics ("a/b", the same as "/topic/a/b"), with the wildcards
// "+" or "*" for a level and "#" or ">" for the rest, or work queues
// ("/queue/name"), of which each message goes to one subscriber. Receipts say
// that a message is stored. Acknowledgement modes, transactions, durable
// subscriptions and heart-beats are real. support.md lists every clause with
// its test, interpretation.md what the specification leaves open.
//
// # Goroutines
//
// A connection has two. The reader parses frames; the owner, which is the
// caller of Serve, does everything else, writing included. A call of the door
// that may block (connecting, subscribing, unsubscribing) gets a third for as
// long as it lasts; frames are held back meanwhile, heart-beats, deliveries and
// acknowledgements are not. Serve returns after all of them have ended.
package stomp
