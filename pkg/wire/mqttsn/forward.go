package mqttsn

import "fmt"

// Forward is the wrapping that a forwarder puts around a message, MQTT-SN 1.2
// §5.5: which node behind it the message is from or for.
type Forward struct {
	Radius uint8  // 0 to 3; of the broadcast, gateway to forwarder
	NodeID []byte // wireless node id
}

// IsForwarded tells a wrapped message from others without reading it.
func IsForwarded(b []byte) bool { return len(b) > 1 && b[0] != 1 && Type(b[1]) == Encapsulated }

// Unwrap takes the message out of its wrapping, which has the short form of the
// length and names a node: the answer goes there. Wrapping within wrapping is
// ErrSyntax. What is returned lies in b; inner is yet to be decoded.
func Unwrap(b []byte) (f Forward, inner []byte, err error) {
	head, n, err := length(b)
	switch {
	case err != nil:
		return f, nil, err
	case head != 1 || Type(b[1]) != Encapsulated || n < 4:
		return f, nil, fmt.Errorf("%w: no forwarder encapsulation", ErrSyntax)
	}
	f = Forward{Radius: b[2] & 3, NodeID: b[3:n:n]}
	inner = b[n:]
	if len(inner) == 0 {
		return f, nil, ErrIncomplete
	}
	if IsForwarded(inner) {
		return f, nil, fmt.Errorf("%w: encapsulation within encapsulation", ErrSyntax)
	}
	return f, inner, nil
}

// Append adds the wrapping; the message itself is to follow.
func (f Forward) Append(dst []byte) ([]byte, error) {
	n := 3 + len(f.NodeID)
	if n == 3 || n > 0xFF || f.Radius > 3 {
		return dst, fmt.Errorf("%w: node id of %d bytes, radius %d", ErrNotEncodable, len(f.NodeID), f.Radius)
	}
	return append(append(dst, byte(n), byte(Encapsulated), f.Radius), f.NodeID...), nil
}
