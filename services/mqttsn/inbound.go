package mqttsn

import "slices"

// inbound is what a device has published with QoS 1 or 2 and its exchange is not
// over, or was a moment ago.
type inbound struct {
	tag     uint64
	storing []incoming
	held    []uint16 // message ids of QoS 2, from PUBREC to PUBREL
	recent  [recents]answered
	last    int
}

const (
	recents = 8  // PUBACKs that are remembered for a repeated PUBLISH
	maxHeld = 64 // QoS 2 exchanges that wait for PUBREL; the oldest is given up
)

// incoming waits for the door's word that it is stored.
type incoming struct {
	tag     uint64
	msgID   uint16
	topicID uint16
	qos     int8
	sum     uint32
}

// answered is a message of QoS 1 that was acknowledged.
type answered struct {
	msgID uint16
	sum   uint32
}

// verdict is what a PUBLISH with a message id is.
type verdict uint8

const (
	fresh    verdict = iota
	underWay         // the same is being stored: the answer comes by itself
	taken            // its id is that of another that is being stored
	released         // QoS 2: PUBREC was sent, and is again
	repeated         // QoS 1: PUBACK was sent, and is again
)

// judge tells a new message from a repeated one. The sum of topic and payload
// tells whether an id is used again for something else.
func (in *inbound) judge(msgID uint16, qos int8, dup bool, sum uint32) verdict {
	if in == nil {
		return fresh
	}
	for _, x := range in.storing {
		switch {
		case x.msgID != msgID:
		case x.sum == sum && x.qos == qos:
			return underWay
		default:
			return taken
		}
	}
	switch {
	case qos == 2 && slices.Contains(in.held, msgID):
		return released
	case qos == 1 && dup && slices.Contains(in.recent[:], answered{msgID, sum}):
		return repeated
	}
	return fresh
}

// begin notes a message that is handed to the door; its tag is not 0.
func (in *inbound) begin(x incoming) uint64 {
	in.tag++
	x.tag = in.tag
	in.storing = append(in.storing, x)
	return x.tag
}

// done takes a message out that the door has answered for.
func (in *inbound) done(tag uint64) (incoming, bool) {
	if in == nil {
		return incoming{}, false
	}
	i := slices.IndexFunc(in.storing, func(x incoming) bool { return x.tag == tag })
	if i < 0 {
		return incoming{}, false
	}
	x := in.storing[i]
	if in.storing = slices.Delete(in.storing, i, i+1); len(in.storing) == 0 {
		in.storing = nil
	}
	return x, true
}

// acked remembers a PUBACK.
func (in *inbound) acked(x incoming) {
	in.recent[in.last] = answered{x.msgID, x.sum}
	in.last = (in.last + 1) % recents
}

// hold keeps the id of a QoS 2 message until PUBREL.
func (in *inbound) hold(msgID uint16) {
	if len(in.held) == maxHeld {
		in.held = slices.Delete(in.held, 0, 1)
	}
	in.held = append(in.held, msgID)
}

// release ends a QoS 2 exchange.
func (in *inbound) release(msgID uint16) {
	if in == nil {
		return
	}
	if i := slices.Index(in.held, msgID); i >= 0 {
		in.held = slices.Delete(in.held, i, i+1)
	}
}

// busy tells whether something is being stored.
func (in *inbound) busy() bool { return in != nil && len(in.storing) > 0 }
