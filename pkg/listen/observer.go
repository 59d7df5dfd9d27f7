package listen

// Reasons for which a connection or a datagram is refused, as [Observer.Rejected] gets them.
const (
	RejectMaxConnections = "max_connections" // the cap was reached
	RejectRate           = "rate"            // more than max_conn_rate in a second
	RejectAccess         = "access"          // an access rule denies the address
	RejectProxy          = "proxy"           // no or a wrong PROXY header
	RejectHandshake      = "handshake"       // TLS, DTLS or WebSocket failed, or took too long

	// Of single datagrams; those above are of newcomers' there.

	RejectPacketRate = "packet_rate" // more than max_packet_rate, or than can be taken
	RejectTooLarge   = "too_large"   // longer than max_packet
	RejectUnproven   = "unproven"    // an answer that was not sent, see [ErrUnproven]
)

// Observer counts. Its methods are called from many goroutines.
//
// Opened and Closed come in pairs, for each connection that was let in by cap
// and rate: a gauge of sockets. Some of them are Rejected in between.
type Observer interface {
	Opened()
	Closed()
	Rejected(reason string)
	Panic()
}

// blind is the Observer of those who gave none.
type blind struct{}

func (blind) Opened()         {}
func (blind) Closed()         {}
func (blind) Rejected(string) {}
func (blind) Panic()          {}
