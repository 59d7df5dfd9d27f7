// Package subject turns the words of devices into NATS subjects and back.
//
// Three encodings live here and nowhere else:
//
//   - [Token] makes one subject token of any free text (client ids, user
//     names, queue names), for the control plane below "gw.";
//   - [FromTopic], [FromFilter] and [ToTopic] map slash topics to subjects
//     exactly as nats-server's own MQTT listener does, so that MQTT clients of
//     the same server, NATS applications and devices see the same messages;
//   - [Mount] is a mountpoint: the prefix that an instance puts before every
//     topic of its devices.
//
// [Tree] finds the filters that match a subject. Standard library only.
package subject
