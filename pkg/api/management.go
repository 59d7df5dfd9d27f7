package api

import "time"

// ListenerStatus is one listener of an instance on one node.
type ListenerStatus struct {
	ID             string `json:"id"` // stomp:tcp:default
	Type           string `json:"type"`
	Name           string `json:"name"`
	Bind           string `json:"bind"`
	Running        bool   `json:"running"`
	MaxConnections int    `json:"max_connections"`
	Connections    int    `json:"current_connections"`
}

// InstanceStatus is a gateway instance as one node runs it, asked for live.
type InstanceStatus struct {
	Proto     string           `json:"proto"`
	Instance  string           `json:"instance"`
	Node      string           `json:"node"`
	Status    string           `json:"status"` // running | stopped | failed
	Reason    string           `json:"reason,omitempty"`
	StartedAt time.Time        `json:"started_at,omitzero"`
	Listeners []ListenerStatus `json:"listeners"`
}

// Gateway is an instance over all nodes, as management tells it.
type Gateway struct {
	Name           string           `json:"name"` // stomp.default
	Proto          string           `json:"proto"`
	Instance       string           `json:"instance"`
	Status         string           `json:"status"` // running | stopped | inconsistent
	CreatedAt      time.Time        `json:"created_at,omitzero"`
	StartedAt      time.Time        `json:"started_at,omitzero"`
	MaxConnections int              `json:"max_connections"`
	Connections    int              `json:"current_connections"`
	Nodes          []InstanceStatus `json:"node_status"`
	Config         map[string]any   `json:"config,omitempty"` // secrets are "******"
}

// ListRequest asks for clients. Empty fields do not filter.
type ListRequest struct {
	Gateway      string `json:"gateway,omitempty"` // stomp.default, or stomp for all instances
	ClientID     string `json:"clientid,omitempty"`
	LikeClientID string `json:"like_clientid,omitempty"`
	Username     string `json:"username,omitempty"`
	Node         string `json:"node,omitempty"`
	Limit        int    `json:"limit,omitempty"` // 1..10000, default 100
	After        string `json:"after,omitempty"` // cursor: the last key of the page before
}

// ListResponse is a page of clients in the order of their keys. Missing lists
// nodes that did not answer: a partial result is said to be one.
type ListResponse struct {
	Data    []ClientInfo `json:"data"`
	Next    string       `json:"next,omitempty"`
	Count   int          `json:"count"` // clients that match, on this and other pages
	Missing []string     `json:"missing,omitempty"`
}

// KickRequest closes a client's connection, wherever it is.
type KickRequest struct {
	Gateway string `json:"gateway"`
	Client  string `json:"clientid"`
	Reason  string `json:"reason,omitempty"`
}

// NodeLease is the record of GW_NODES.
type NodeLease struct {
	Node      string    `json:"node"`
	Lease     string    `json:"lease"` // unique to this start of the process
	Services  []string  `json:"services"`
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
}
