// Package gateway is the door: the only way from a device to NATS.
//
// An edge (services/stomp and its sisters) speaks its protocol and knows no
// NATS. It is handed a [Door] for each connection, says [Hello], and works with
// the [Client] it gets: publishing, subscribing, taking events, and closing.
// Behind the door are the steps that must be the same for every protocol: bans,
// authentication, overrides, the mountpoint, ownership of the client id in the
// cluster, authorisation, headers, limits, events and metrics.
//
// A [Node] is the door's side of one process: its lease, its NATS
// subscriptions (one for each distinct filter), its ordered and confirmed
// publishing. An [Instance] is one configured gateway on that node, such as
// stomp.default, with its listeners.
//
// Goroutines: a Node has one for its lease, one for each router shard and one
// watcher for bans, all ended by Node.Close. A Client has none of its own, but
// one for each work queue it subscribes to, ended by Unsubscribe or Close.
package gateway
