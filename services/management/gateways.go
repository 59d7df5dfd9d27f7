package management

import (
	"context"
	"slices"
	"strings"

	"sluice/pkg/api"
)

// Statuses of a gateway over all nodes.
const (
	Running      = "running"
	Stopped      = "stopped"
	Inconsistent = "inconsistent" // not the same on all nodes, failed, or a node does not answer
	unknown      = "unknown"      // of a node that does not answer
)

// GatewayList is the answer to gateway.list.
type GatewayList struct {
	Data    []api.Gateway `json:"data"`
	Missing []string      `json:"missing,omitempty"` // nodes that did not answer
}

// LookupGateway asks for one gateway.
type LookupGateway struct {
	Name string `json:"name"` // stomp.default, or stomp when it has one instance
}

func (s *Service) listGateways(ctx context.Context, _ struct{}) (GatewayList, error) {
	all, missing, err := s.gateways(ctx, "gateway.list")
	return GatewayList{Data: all, Missing: names(missing)}, err
}

func (s *Service) lookupGateway(ctx context.Context, r LookupGateway) (api.Gateway, error) {
	const op = "gateway.lookup"
	found, missing, err := s.named(ctx, op, r.Name)
	switch {
	case err != nil:
		return api.Gateway{}, err
	case len(found) == 0 && len(missing) > 0:
		return api.Gateway{}, silent(op, "no gateway "+r.Name+" is known", missing)
	case len(found) == 0:
		return api.Gateway{}, api.Errorf(api.NotFound, op, "no gateway %s", r.Name)
	case len(found) > 1:
		var all []string
		for _, g := range found {
			all = append(all, g.Name)
		}
		return api.Gateway{}, api.Errorf(api.Conflict, op, "%s has several instances, name one: %s", r.Name, strings.Join(all, ", "))
	}
	return found[0], nil
}

// named is the gateways that a name stands for.
func (s *Service) named(ctx context.Context, op, name string) ([]api.Gateway, []api.NodeLease, error) {
	proto, inst, err := splitName(op, name)
	if err != nil {
		return nil, nil, err
	}
	all, missing, err := s.gateways(ctx, op)
	all = slices.DeleteFunc(all, func(g api.Gateway) bool {
		return g.Proto != proto || inst != "" && g.Instance != inst
	})
	return all, missing, err
}

// gateways asks all nodes what they run.
func (s *Service) gateways(ctx context.Context, op string) ([]api.Gateway, []api.NodeLease, error) {
	nodes, err := s.leases(ctx, op)
	if err != nil {
		return nil, nil, err
	}
	answers, missing := scatter[struct{}, []api.InstanceStatus](ctx, s, nodes, "status", struct{}{})
	return aggregate(slices.Concat(answers...), missing), missing, nil
}

// aggregate puts the parts of every gateway together. A missing node whose lease
// says that it runs the protocol is a part of unknown state.
func aggregate(parts []api.InstanceStatus, missing []api.NodeLease) []api.Gateway {
	of := map[string]*api.Gateway{}
	for _, p := range parts {
		name := p.Proto + "." + p.Instance
		g := of[name]
		if g == nil {
			g = &api.Gateway{Name: name, Proto: p.Proto, Instance: p.Instance}
			of[name] = g
		}
		if p.Listeners == nil {
			p.Listeners = []api.ListenerStatus{}
		}
		g.Nodes = append(g.Nodes, p)
	}
	all := []api.Gateway{}
	for _, g := range of {
		for _, m := range missing {
			if len(m.Services) == 0 || slices.Contains(m.Services, g.Proto) {
				g.Nodes = append(g.Nodes, api.InstanceStatus{Proto: g.Proto, Instance: g.Instance, Node: m.Node,
					Status: unknown, Reason: "node does not answer", Listeners: []api.ListenerStatus{}})
			}
		}
		total(g)
		all = append(all, *g)
	}
	slices.SortFunc(all, func(a, b api.Gateway) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// total sums the nodes up: counts add, the status is what all agree on, and the
// gateway runs since its first node does.
func total(g *api.Gateway) {
	slices.SortFunc(g.Nodes, func(a, b api.InstanceStatus) int { return strings.Compare(a.Node, b.Node) })
	g.Status = g.Nodes[0].Status
	for _, n := range g.Nodes {
		if n.Status != g.Status || n.Status != Running && n.Status != Stopped {
			g.Status = Inconsistent
		}
		if n.Status == Running && !n.StartedAt.IsZero() && (g.StartedAt.IsZero() || n.StartedAt.Before(g.StartedAt)) {
			g.StartedAt = n.StartedAt
		}
		for _, l := range n.Listeners {
			g.Connections += l.Connections
			g.MaxConnections += l.MaxConnections
		}
	}
}
