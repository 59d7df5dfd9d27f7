// Package fanout knows which queues a message of GW_DATA goes into, and stores
// the copies so that every queue has them in the order of GW_DATA: [Index] says
// whose a message is, [Lanes] puts copies on their way, many queues at a time
// and one copy a queue, and knows up to where all is stored. It knows nothing of
// NATS but a message's headers, and has no goroutine and no clock.
package fanout
