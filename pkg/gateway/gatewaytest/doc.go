// Package gatewaytest has a door and a client for the tests of edges, which
// need no NATS. The test scripts what the door answers, sees what the edge
// asked for, and plays NATS: it stores publishes, delivers messages, kicks.
//
// Everything may be called from any goroutine. Nothing here starts one, sleeps
// or keeps time but for [Door.Delay], so it is at home in a synctest bubble.
package gatewaytest
