package gateway

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/streams"
)

// onEdge answers what comes on gw.edge.<node>.>: one wildcard subscription for
// the node, however many clients it has. Deliveries and kicks are handed on at
// once; what an operator asks for must not hold them up.
func (n *Node) onEdge(m *nats.Msg) {
	verb, key, _ := strings.Cut(strings.TrimPrefix(m.Subject, streams.EdgeSubject(n.ID, "", "")), ".")
	switch verb {
	case "dn":
		n.onDeliver(key, m)
	case "kick":
		n.onKick(key, m)
	case "list":
		n.wg.Go(func() { answer(n, m, n.list) })
	case "status":
		n.wg.Go(func() { answer(n, m, func(struct{}) ([]api.InstanceStatus, error) { return n.Status(), nil }) })
	case "metrics":
		n.wg.Go(func() { answer(n, m, n.snapshot) })
	default:
		n.respond(m, nil, api.Errorf(api.NotFound, "edge", "node %s knows no verb %q", n.ID, verb))
	}
}

// answer decodes the question, asks f and sends what it says.
func answer[Req, Resp any](n *Node, m *nats.Msg, f func(Req) (Resp, error)) {
	req, err := natsx.Question[Req](m)
	if err != nil {
		n.respond(m, nil, err)
		return
	}
	resp, err := f(req)
	n.respond(m, resp, err)
}

func (n *Node) respond(m *nats.Msg, v any, err error) {
	if m.Reply == "" {
		return
	}
	if err := natsx.Answer(m, v, err); err != nil {
		n.Log.Warn("answer not sent", "subject", m.Subject, "error", err)
	}
}

// onKick closes a client: by an epoch, only one older than it (takeover); without
// one, whatever there is (management).
func (n *Node) onKick(key string, m *nats.Msg) {
	epoch, _ := strconv.ParseUint(m.Header.Get(streams.HdrEpoch), 10, 64)
	n.mu.Lock()
	c := n.clients[key]
	n.outdate(key, epoch)
	n.mu.Unlock()
	if c == nil || epoch != 0 && c.info.Epoch >= epoch {
		n.respond(m, false, nil)
		return
	}
	if m.Header.Get(streams.HdrReason) == "taken_over" {
		c.kick(ErrTakenOver)
	} else {
		c.kick(ErrKicked)
	}
	n.respond(m, true, nil)
}

// snapshot is what this node counted for gateways: "stomp.default", or "stomp"
// for all instances of a protocol, or "" for all.
func (n *Node) snapshot(req struct {
	Gateway string `json:"gateway"`
}) (map[string]float64, error) {
	proto, inst, _ := strings.Cut(req.Gateway, ".")
	return n.Metrics.Snapshot(proto, inst), nil
}

const (
	maxPage     = 500      // clients in one answer
	answerSpare = 16 << 10 // of NATS' payload limit, for what is around them
)

// list gives this node's clients that match, in the order of their keys. A page
// also ends where it would not fit a NATS message.
func (n *Node) list(req api.ListRequest) (api.ListResponse, error) {
	found := n.matching(req)
	limit := req.Limit
	if limit <= 0 || limit > maxPage {
		limit = maxPage
	}
	room := int(n.NC.MaxPayload()) - answerSpare
	r := api.ListResponse{Count: len(found), Data: []api.ClientInfo{}}
	for _, c := range found {
		if c.key <= req.After {
			continue
		}
		info := c.Info()
		text, err := json.Marshal(info)
		if err != nil {
			return r, api.Wrap(api.Internal, "list", "encode a client", err)
		}
		room -= len(text) + 1
		if len(r.Data) == limit || room < 0 && len(r.Data) > 0 {
			r.Next = r.Data[len(r.Data)-1].ClientKey.String()
			break
		}
		r.Data = append(r.Data, info)
	}
	return r, nil
}

func (n *Node) matching(req api.ListRequest) []*client {
	n.mu.Lock()
	var found []*client
	for _, c := range n.clients {
		if matches(c, req) {
			found = append(found, c)
		}
	}
	n.mu.Unlock()
	slices.SortFunc(found, func(a, b *client) int { return strings.Compare(a.key, b.key) })
	return found
}

func matches(c *client, r api.ListRequest) bool {
	proto, inst, named := strings.Cut(r.Gateway, ".")
	return (r.Gateway == "" || c.info.Proto == proto && (!named || c.info.Instance == inst)) &&
		(r.ClientID == "" || c.info.Client == r.ClientID) &&
		(r.LikeClientID == "" || strings.Contains(c.info.Client, r.LikeClientID)) &&
		(r.Username == "" || c.info.Username == r.Username) &&
		(r.Node == "" || c.info.Node == r.Node)
}
