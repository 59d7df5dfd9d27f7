package gateway

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/streams"
)

// onEdge answers what comes on gw.edge.<node>.>: one wildcard subscription for
// the node, however many clients it has.
func (n *Node) onEdge(m *nats.Msg) {
	verb, key, _ := strings.Cut(strings.TrimPrefix(m.Subject, streams.EdgeSubject(n.ID, "", "")), ".")
	switch verb {
	case "dn":
		n.onDeliver(key, m)
	case "kick":
		n.onKick(key, m)
	case "list":
		var req api.ListRequest
		if err := json.Unmarshal(m.Data, &req); err == nil {
			n.reply(m, n.list(req))
		}
	case "status":
		n.reply(m, n.Status())
	}
}

func (n *Node) reply(m *nats.Msg, v any) {
	if m.Reply == "" {
		return
	}
	if err := n.NC.Publish(m.Reply, mustJSON(v)); err != nil {
		n.Log.Warn("answer not sent", "subject", m.Subject, "error", err)
	}
}

// onKick closes a client: by an epoch, only one older than it (takeover); without
// one, whatever there is (management).
func (n *Node) onKick(key string, m *nats.Msg) {
	c := n.find(key)
	epoch, _ := strconv.ParseUint(m.Header.Get(streams.HdrEpoch), 10, 64)
	if c == nil || epoch != 0 && c.info.Epoch >= epoch {
		n.reply(m, false)
		return
	}
	if m.Header.Get(streams.HdrReason) == "taken_over" {
		c.kick(ErrTakenOver)
	} else {
		c.kick(ErrKicked)
	}
	n.reply(m, true)
}

// maxPage keeps an answer below NATS' usual payload limit of 1 MiB.
const maxPage = 500

// list gives this node's clients that match, in the order of their keys.
func (n *Node) list(req api.ListRequest) api.ListResponse {
	n.mu.Lock()
	var found []*client
	for _, c := range n.clients {
		if matches(c, req) {
			found = append(found, c)
		}
	}
	n.mu.Unlock()
	slices.SortFunc(found, func(a, b *client) int { return strings.Compare(a.key, b.key) })
	limit := req.Limit
	if limit <= 0 || limit > maxPage {
		limit = maxPage
	}
	r := api.ListResponse{Count: len(found), Data: []api.ClientInfo{}}
	for _, c := range found {
		if c.key <= req.After {
			continue
		}
		if len(r.Data) == limit {
			r.Next = r.Data[limit-1].ClientKey.String()
			break
		}
		r.Data = append(r.Data, c.Info())
	}
	return r
}

func matches(c *client, r api.ListRequest) bool {
	proto, inst, named := strings.Cut(r.Gateway, ".")
	return (r.Gateway == "" || c.info.Proto == proto && (!named || c.info.Instance == inst)) &&
		(r.ClientID == "" || c.info.Client == r.ClientID) &&
		(r.LikeClientID == "" || strings.Contains(c.info.Client, r.LikeClientID)) &&
		(r.Username == "" || c.info.Username == r.Username) &&
		(r.Node == "" || c.info.Node == r.Node)
}

// reasonLabel makes a small enum of a reason, for metrics.
func reasonLabel(err error) string {
	for _, r := range [...]struct {
		err   error
		label string
	}{
		{nil, "normal"}, {ErrTakenOver, "taken_over"}, {ErrKicked, "kicked"}, {ErrBanned, "banned"},
		{ErrExpired, "expired"}, {ErrLeaseLost, "lease_lost"}, {ErrShutdown, "shutdown"},
		{ErrKeepalive, "keepalive"}, {ErrIdle, "idle"}, {ErrSlow, "slow"}, {ErrProtocol, "protocol"}, {ErrClosed, "closed"},
	} {
		if errors.Is(err, r.err) {
			return r.label
		}
	}
	return "error"
}

func reasonText(err error) string {
	if label := reasonLabel(err); label != "error" {
		return label
	}
	return api.PeerText(err)
}
