package api

// The answers of an edge to a delivery on gw.edge.<node>.dn.<client>. The first
// is only given after the device's own acknowledgement.
const (
	DeliverAck  = "+ACK"  // the device has it: delete it
	DeliverNak  = "-NAK"  // the device refused it: try again, count it
	DeliverGap  = "-GAP"  // something before it never came: go on after the sequence that follows, "-GAP 41"
	DeliverGone = "-GONE" // not here, not that epoch, or not subscribed: wait for the client
)
