// Package management tells operators what runs and does what they ask. It is the
// NATS micro service "mgmt", with the verbs
//
//	gateway.list                      -> GatewayList
//	gateway.lookup   LookupGateway    -> api.Gateway
//	clients.list     api.ListRequest  -> api.ListResponse
//	clients.lookup   LookupClient     -> api.ClientInfo
//	clients.kick     api.KickRequest  -> Kicked
//	nodes.list                        -> []api.NodeLease
//	metrics          MetricsRequest   -> Metrics
//	banned.list      ListBans         -> BanPage
//	banned.put       api.Ban          -> api.Ban
//	banned.delete    DeleteBan        -> bool
//	queue.list       ListQueues       -> WaitingPage
//	queue.show       ShowQueue        -> QueuePage
//	queue.purge      PurgeQueue       -> Purged
//	dead.list        ListDead         -> DeadPage
//	dead.show        ShowDead         -> DeadLetter
//	dead.retry       RetryDead        -> Retried
//	dead.purge       PurgeDead        -> Purged
//
// on gw.svc.mgmt.<verb>, and the process's HTTP page: /metrics, /livez, /readyz.
//
// It holds no state. Nodes are those with a lease in GW_NODES; each is asked at
// the time of the question, all at once, and has 2 s, or three quarters of what
// the caller waits if that is less. A node that does not answer is named in
// Missing: a partial result is said to be partial, and "not found" is only said
// when everybody was heard.
//
// A gateway is named by its protocol and instance, "stomp.default"; the protocol
// alone, "stomp", stands for all its instances.
//
// Every change is written to GW_AUDIT before it is made; what cannot be written
// down is not done.
package management
