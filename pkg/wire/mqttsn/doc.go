// Package mqttsn turns datagrams of MQTT-SN 1.2 into packets and back. It does
// no I/O, keeps no state and allocates nothing but errors: what a packet points
// to lies in the datagram.
//
// One datagram is one message, exactly (MQTT-SN 1.2 §5.2). A message that came
// through a forwarder is wrapped; [Unwrap] takes it out.
//
// What is refused is refused in one of three ways. [ErrSyntax] and
// [ErrIncomplete] come without a packet: there is nobody to answer. [ErrContent],
// which is an ErrSyntax too, comes with the packet: its message id is known, and a
// return code can be sent. [ErrEmptyClientID] is the one ErrContent that a gateway
// may choose to overlook. [Packet.Append] writes nothing that Decode refuses, but
// for that one.
package mqttsn
