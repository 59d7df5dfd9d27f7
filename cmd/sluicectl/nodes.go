package main

import (
	"strings"

	"github.com/urfave/cli/v2"

	"sluice/pkg/api"
)

func nodesCommand() *cli.Command {
	return group("nodes", "processes of the cluster", leaf("list", "", "processes that are alive", listNodes))
}

func listNodes(x *ctl) error {
	all, err := ask[struct{}, []api.NodeLease](x, "mgmt", "nodes.list", struct{}{})
	if err != nil {
		return err
	}
	t := table{header: []string{"NODE", "VERSION", "SERVICES", "STARTED"}}
	for _, n := range all {
		t.add(n.Node, n.Version, strings.Join(n.Services, ","), when(n.StartedAt))
	}
	return x.show(all, t)
}
