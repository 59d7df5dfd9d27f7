package main

import (
	"maps"
	"slices"

	"github.com/urfave/cli/v2"

	"sluice/services/management"
)

func metricsCommand() *cli.Command {
	return leaf("gateway-metrics", "[NAME]", "counters of a gateway (stomp.default, or stomp), or of all, summed over the nodes", showMetrics)
}

func showMetrics(x *ctl) error {
	var r management.MetricsRequest
	if x.NArg() > 0 {
		var err error
		if r.Gateway, err = x.gatewayArg(); err != nil {
			return err
		}
	}
	m, err := ask[management.MetricsRequest, management.Metrics](x, "mgmt", "metrics", r)
	if err != nil {
		return err
	}
	t := table{header: []string{"NAME", "VALUE"}}
	for _, name := range slices.Sorted(maps.Keys(m.Data)) {
		t.add(name, number(m.Data[name]))
	}
	if err := x.show(m.Data, t); err != nil {
		return err
	}
	return partial(m.Missing)
}
