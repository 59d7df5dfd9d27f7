// Package mqttsn turns datagrams of MQTT-SN 1.2 into packets and back. It does
// no I/O, keeps no state and allocates nothing but errors: what a packet points
// to lies in the datagram.
//
// One datagram is one message, exactly (MQTT-SN 1.2 §5.2). A message that came
// through a forwarder is wrapped; [Unwrap] takes it out.
package mqttsn
