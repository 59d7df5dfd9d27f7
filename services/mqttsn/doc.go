// Package mqttsn is the MQTT-SN edge: it terminates MQTT-SN 1.2 over UDP and
// DTLS, and reaches NATS only through the door of pkg/gateway.
//
// All message types are there: will dialogue, registration both ways, normal,
// pre-defined and short topics, QoS -1 to 2 both ways, sleeping devices, and
// forwarder encapsulation. support.md lists every clause with its test,
// interpretation.md what the specification leaves open.
//
// # Who runs what
//
// A device has no goroutine and no timer of the runtime. Its conn is locked by
// whoever brings it something: the listener's goroutine a datagram, one of a few
// workers what the door has for it (Hello.Notify puts it on their queue) or a
// timer of the wheel, and the goroutine of a call its result. A call is what may
// block at the door: connecting, subscribing, going to sleep; it runs in a
// goroutine of its own, without the lock. Nothing that holds the lock blocks.
//
// A device that sleeps is forgotten here: the session service keeps all of it.
package mqttsn
