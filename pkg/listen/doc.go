// Package listen takes stream connections (tcp, tls, ws, wss) for the edges.
//
// An edge sees a [Conn], a net.Conn that is past everything that all protocols
// share: caps, access rules, PROXY header, TLS handshake and WebSocket upgrade.
//
//	accept ── cap, rate ──► one goroutine a connection:
//	                        PROXY header ─ access rules ─ TLS ─ WebSocket ─ Handler
//
// # Rules
//
//   - The accept loop never waits for a peer. Whatever a peer can delay happens
//     in its own goroutine, within proxy_protocol_timeout and handshake_timeout.
//   - max_connections counts sockets, those in a handshake too. What is over it,
//     or over max_conn_rate, is reset at once and counted, on ws and wss as well:
//     to hold strangers back in a queue would cost the memory that the limits are
//     there to protect, and devices try again by themselves.
//   - Access rules look at the address of the device: behind a proxy that is the
//     one of its PROXY header. A header is believed only where proxy_protocol is
//     on, and there it is required; the port must then be closed to all others.
//   - A panic ends one connection and is counted; the process lives.
//   - An idle tcp connection costs its handler's goroutine and no buffer. A
//     WebSocket has no goroutine more, and 1.5 KiB of buffers.
//
// # WebSocket as a byte stream
//
// Text and binary messages both carry bytes; where one ends means nothing, so
// that a protocol's frame may come in many messages and many in one. Each Write
// is one message. Compression is never negotiated.
//
// A Read whose deadline has passed ends the reading side for good, because half
// a WebSocket frame may have been taken; what Read returned before is whole, and
// writing goes on. So a read deadline is for ending a connection, not for ticking.
//
// # Ending
//
// [Listener.Close] only stops to accept. [Listener.Shutdown] then ends the
// handlers' ctx with a cause, waits, and cuts what is left when its own ctx ends.
package listen
