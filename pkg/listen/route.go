package listen

import (
	"context"
	"encoding/binary"
	"net/netip"
)

// Of a dtls record as it is on the wire (RFC 6347 §4.1, RFC 9146 §4): content
// type, version, epoch at 3, sequence number, with its type the connection ID at
// 11, length; a handshake message begins with its type.
const (
	recordHeader    = 13
	typeHandshake   = 22
	typeCID         = 25
	handClientHello = 1
	handServerHello = 2
)

// connectionID is whom the first record of a datagram is for. Records before the
// keys have none, and in a datagram they come before those that do.
func connectionID(b []byte) (id cid, ok bool) {
	if len(b) < recordHeader+cidLength || b[0] != typeCID {
		return id, false
	}
	return cid(b[11 : 11+cidLength]), true
}

// isPlain tells whether the first record is from before the keys.
func isPlain(b []byte) bool {
	return len(b) > recordHeader && b[0] != typeCID && binary.BigEndian.Uint16(b[3:]) == 0
}

func isClientHello(b []byte) bool { return isHandshake(b, handClientHello) }
func isServerHello(b []byte) bool { return isHandshake(b, handServerHello) }

func isHandshake(b []byte, message byte) bool {
	return isPlain(b) && b[0] == typeHandshake && b[recordHeader] == message
}

// take gives a datagram to who may understand it.
func (d *associations) take(ctx context.Context, h PacketHandler, via int, from netip.AddrPort, b []byte) {
	if len(b) > maxSecure {
		d.l.refused(from, RejectTooLarge, nil)
		return
	}
	one, other, welcome := d.route(from, b)
	if welcome {
		if one = d.welcome(ctx, h, via, from); one == nil {
			return
		}
	}
	for _, a := range []*association{one, other} {
		if a != nil && !a.push(from, b) {
			d.l.refused(from, RejectPacketRate, nil)
		}
	}
}

// route finds who may understand a datagram. welcome is true for one that begins
// an association.
func (d *associations) route(from netip.AddrPort, b []byte) (one, other *association, welcome bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id, ok := connectionID(b); ok {
		return d.byID[id], nil, false
	}
	old, young := d.byAddr[from], d.again[from]
	switch {
	case isPlain(b) && young != nil:
		return young, nil, false
	case isClientHello(b) && (old == nil || old.established):
		return nil, nil, true
	}
	return old, young, false // what is encrypted only one of them can read
}
