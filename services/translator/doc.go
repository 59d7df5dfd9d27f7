// Package translator is the service that turns the raw frames of message
// protocols into what applications read:
//
//	GW_RAW --partition--> decode --> the topic that the edge named, as JSON (GW_DATA)
//
// A frame is stored before its device is answered, so a fault in a decoder loses
// nothing: what cannot be decoded goes to <topic>.raw as it is, with the reason.
//
// Any number of processes share 64 partitions of GW_RAW by leases (pkg/ownership);
// a client belongs to one for ever, and one goroutine works for a partition, so a
// device's messages keep their order (partition.go). How far it is stands in
// GW_PARTITIONS (checkpoint.go). Who takes a partition over reads again what lies
// behind the last checkpoint, and publishes what it does not find in GW_DATA
// (published.go): every message carries its raw sequence, also as Nats-Msg-Id, so
// that nothing is lost or doubled, however long nobody worked.
package translator
