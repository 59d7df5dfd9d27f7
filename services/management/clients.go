package management

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"sluice/pkg/api"
)

const (
	defaultLimit = 100
	maxLimit     = 10_000
	edgePage     = 500 // an edge gives no more at a time

	answerRoom = 4 << 10 // of a message, for headers
)

// LookupClient asks for one connected client.
type LookupClient struct {
	Gateway string `json:"gateway"` // stomp.default, or stomp when one of its instances has the client
	Client  string `json:"clientid"`
}

// listClients is a page over all nodes. It may be shorter than the limit: Next
// tells whether there is more.
func (s *Service) listClients(ctx context.Context, r api.ListRequest) (api.ListResponse, error) {
	const op = "clients.list"
	if r.Limit == 0 {
		r.Limit = defaultLimit
	}
	if r.Limit < 1 || r.Limit > maxLimit {
		return api.ListResponse{}, api.Errorf(api.Invalid, op, "limit must be 1 to %d", maxLimit)
	}
	if r.Gateway != "" {
		if _, _, err := splitName(op, r.Gateway); err != nil {
			return api.ListResponse{}, err
		}
	}
	nodes, err := s.asked(ctx, op, r.Node)
	if err != nil {
		return api.ListResponse{}, err
	}
	ask := r
	ask.Limit = min(r.Limit, edgePage)
	answers, missing := scatter[api.ListRequest, api.ListResponse](ctx, s, nodes, "list", ask)
	page := merge(answers, r.Limit)
	page.Missing = names(missing)
	if page.Count == 0 && len(missing) == 0 && r.Gateway != "" {
		return page, s.known(ctx, op, r.Gateway)
	}
	return page, s.fit(&page)
}

// asked is the nodes to ask: all, or the one that was named.
func (s *Service) asked(ctx context.Context, op, only string) ([]api.NodeLease, error) {
	nodes, err := s.leases(ctx, op)
	if err != nil || only == "" {
		return nodes, err
	}
	nodes = slices.DeleteFunc(nodes, func(n api.NodeLease) bool { return n.Node != only })
	if len(nodes) == 0 {
		return nil, api.Errorf(api.NotFound, op, "no node %s", only)
	}
	return nodes, nil
}

// known fails for a gateway that no node runs, so that a misspelt name does not
// look like one without clients.
func (s *Service) known(ctx context.Context, op, gateway string) error {
	found, missing, err := s.named(ctx, op, gateway)
	if err == nil && len(found) == 0 && len(missing) == 0 {
		return api.Errorf(api.NotFound, op, "no gateway %s", gateway)
	}
	return err
}

// merge makes one page of the nodes' pages. Beyond the end of a page that is not
// its node's last nothing is known of that node, so the merged one ends there. A
// client on two nodes is just moving: the later owner counts.
func merge(answers []api.ListResponse, limit int) api.ListResponse {
	var out api.ListResponse
	var end string
	all := []api.ClientInfo{}
	for _, a := range answers {
		all = append(all, a.Data...)
		out.Count += a.Count
		if a.Next != "" && (end == "" || a.Next < end) {
			end = a.Next
		}
	}
	slices.SortFunc(all, func(a, b api.ClientInfo) int {
		return cmp.Or(strings.Compare(a.String(), b.String()), cmp.Compare(b.Epoch, a.Epoch))
	})
	before := len(all)
	all = slices.CompactFunc(all, func(a, b api.ClientInfo) bool { return a.ClientKey == b.ClientKey })
	out.Count -= before - len(all)
	if end != "" {
		all = slices.DeleteFunc(all, func(c api.ClientInfo) bool { return c.String() > end })
	}
	out.Data = all
	if len(all) > limit {
		out.Data = all[:limit]
		end = all[limit-1].String()
	}
	out.Next = end
	return out
}

// fit shortens a page until it is a message that NATS takes.
func (s *Service) fit(p *api.ListResponse) error {
	for {
		data, err := json.Marshal(p)
		if err != nil || len(data) <= int(s.NC.MaxPayload())-answerRoom || len(p.Data) < 2 {
			return err
		}
		p.Data = p.Data[:len(p.Data)/2]
		p.Next = p.Data[len(p.Data)-1].String()
	}
}

func (s *Service) lookupClient(ctx context.Context, r LookupClient) (api.ClientInfo, error) {
	const op = "clients.lookup"
	if _, _, err := splitName(op, r.Gateway); err != nil {
		return api.ClientInfo{}, err
	}
	if r.Client == "" {
		return api.ClientInfo{}, api.Errorf(api.Invalid, op, "client id is empty")
	}
	nodes, err := s.leases(ctx, op)
	if err != nil {
		return api.ClientInfo{}, err
	}
	answers, missing := scatter[api.ListRequest, api.ListResponse](ctx, s, nodes, "list",
		api.ListRequest{Gateway: r.Gateway, ClientID: r.Client, Limit: edgePage})
	found := merge(answers, edgePage).Data
	switch {
	case len(found) > 1:
		var all []string
		for _, c := range found {
			all = append(all, c.Proto+"."+c.Instance)
		}
		return api.ClientInfo{}, api.Errorf(api.Conflict, op, "several instances have client %q, name one: %s", r.Client, strings.Join(all, ", "))
	case len(found) == 0 && len(missing) > 0:
		return api.ClientInfo{}, silent(op, "client is not found", missing)
	case len(found) == 0:
		return api.ClientInfo{}, api.Errorf(api.NotFound, op, "no client %q in %s", r.Client, r.Gateway)
	}
	return found[0], nil
}
