// Package listen takes stream connections (tcp, tls, ws, wss) and datagrams (udp,
// dtls) for the edges.
//
// Of a stream an edge sees a [Conn], a net.Conn that is past everything that all protocols
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
//
// # Datagrams
//
// Of datagrams an edge sees a [Peer]: an address, or a DTLS association.
//
//		socket ── max_packet_rate, max_packet ──► udp:  table of addresses ─► PacketHandler
//		                                          dtls: associations, by connection ID or address ─► PacketHandler
//
//	  - Whoever sends from an invented address gets no more bytes than came from it,
//	    costs one of 4096 places (udp) or 512 (dtls, before its cookie is back), and
//	    pushes out only its like. An edge that has let a device in says [Peer.Prove].
//	  - An idle udp peer costs 162 bytes with its place in the table (100,000 of
//	    them), and no timer or goroutine. A dtls peer costs some 56 KB and four
//	    goroutines, nearly all of it the library's; most of it are buffers.
//	  - max_connections counts peers. When it is reached and all are proven,
//	    newcomers are dropped. Nothing is sent to refuse them.
//	  - A dtls device with a connection ID can come from another address; one that
//	    has lost its association can begin a new one from the same port.
//	  - A listener that is bound to all addresses of a host with several answers
//	    from the one that the kernel chooses: bind each there.
//
// [Packets.Close] ends all peers, dtls with close_notify, and tells the handler
// of none: the edge says its goodbyes before.
package listen
