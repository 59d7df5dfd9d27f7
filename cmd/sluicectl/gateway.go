package main

import (
	"strconv"

	"github.com/urfave/cli/v2"

	"sluice/pkg/api"
	"sluice/services/management"
)

func gatewayCommand() *cli.Command {
	return group("gateway", "what runs",
		leaf("list", "", "all gateways over all nodes", listGateways),
		leaf("lookup", "NAME", "one gateway: NAME is stomp.default, or stomp when it has one instance", lookupGateway),
	)
}

func listGateways(x *ctl) error {
	got, err := ask[struct{}, management.GatewayList](x, "mgmt", "gateway.list", struct{}{})
	if err != nil {
		return err
	}
	t := table{header: []string{"NAME", "STATUS", "CONNECTIONS", "MAX", "NODES", "STARTED"}}
	for _, g := range got.Data {
		t.add(g.Name, g.Status, strconv.Itoa(g.Connections), strconv.Itoa(g.MaxConnections), strconv.Itoa(len(g.Nodes)), when(g.StartedAt))
	}
	if err := x.show(got.Data, t); err != nil {
		return err
	}
	return partial(got.Missing)
}

func lookupGateway(x *ctl) error {
	name, err := x.gatewayArg()
	if err != nil {
		return err
	}
	g, err := ask[management.LookupGateway, api.Gateway](x, "mgmt", "gateway.lookup", management.LookupGateway{Name: name})
	if err != nil {
		return err
	}
	var about table
	about.add("name:", g.Name)
	about.add("status:", g.Status)
	about.add("connections:", strconv.Itoa(g.Connections)+" of "+strconv.Itoa(g.MaxConnections))
	about.add("started:", when(g.StartedAt))
	nodes := table{header: []string{"NODE", "STATUS", "LISTENER", "BIND", "CONNECTIONS", "MAX", "REASON"}}
	for _, n := range g.Nodes {
		for _, l := range n.Listeners {
			status := n.Status
			if !l.Running && status == management.Running {
				status = management.Stopped
			}
			nodes.add(n.Node, status, l.ID, l.Bind, strconv.Itoa(l.Connections), strconv.Itoa(l.MaxConnections), n.Reason)
		}
		if len(n.Listeners) == 0 {
			nodes.add(n.Node, n.Status, "", "", "", "", n.Reason)
		}
	}
	return x.show(g, about, nodes)
}
