package main

import (
	"strconv"

	"github.com/urfave/cli/v2"

	"sluice/pkg/api"
	"sluice/services/management"
)

// clientsPage is what is asked for at a time.
const clientsPage = 500

func clientsCommand() *cli.Command {
	return group("gateway-clients", "connected devices",
		leaf("list", "[NAME]", "clients of a gateway (stomp.default, or stomp), or of all", listClients,
			&cli.StringFlag{Name: "like", Usage: "only client ids with this `TEXT` in them"},
			&cli.StringFlag{Name: "username", Usage: "only those of this `USER`"},
			&cli.StringFlag{Name: "node", Usage: "only those at this `NODE`"},
			&cli.IntFlag{Name: "limit", Usage: "at most `N` clients (default: all)"},
		),
		leaf("lookup", "NAME CLIENT", "one client with its subscriptions", lookupClient),
		leaf("kick", "NAME CLIENT", "close the client's connection, wherever it is", kickClient,
			&cli.StringFlag{Name: "reason", Usage: "`TEXT` for the audit log"},
		),
	)
}

func listClients(x *ctl) error {
	r := api.ListRequest{LikeClientID: x.String("like"), Username: x.String("username"), Node: x.String("node")}
	limit := x.Int("limit")
	if limit < 0 || x.IsSet("limit") && limit == 0 {
		return usagef("limit must be positive")
	}
	if x.NArg() > 0 {
		var err error
		if r.Gateway, err = x.gatewayArg(); err != nil {
			return err
		}
	}
	all, missing, err := allClients(x, r, limit)
	if err != nil {
		return err
	}
	t := table{header: []string{"GATEWAY", "CLIENT", "USERNAME", "NODE", "PEER", "PROTOCOL", "CONNECTED", "SUBSCRIPTIONS"}}
	for _, c := range all {
		t.add(c.Proto+"."+c.Instance, c.Client, c.Username, c.Node, c.Peer, protocol(c), when(c.ConnectedAt), strconv.Itoa(c.Stats.SubscriptionsN))
	}
	if err := x.show(all, t); err != nil {
		return err
	}
	return partial(missing)
}

// allClients follows the cursor; limit 0 is no limit.
func allClients(x *ctl, r api.ListRequest, limit int) (all []api.ClientInfo, missing []string, err error) {
	all = []api.ClientInfo{}
	for {
		r.Limit = clientsPage
		if limit > 0 {
			r.Limit = min(clientsPage, limit-len(all))
		}
		page, err := ask[api.ListRequest, api.ListResponse](x, "mgmt", "clients.list", r)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, page.Data...)
		if len(page.Missing) > len(missing) {
			missing = page.Missing
		}
		if r.After = page.Next; r.After == "" || limit > 0 && len(all) >= limit {
			return all, missing, nil
		}
	}
}

func lookupClient(x *ctl) error {
	name, err := x.gatewayArg()
	if err != nil {
		return err
	}
	c, err := ask[management.LookupClient, api.ClientInfo](x, "mgmt", "clients.lookup", management.LookupClient{Gateway: name, Client: x.Args().Get(1)})
	if err != nil {
		return err
	}
	var t table
	t.add("client:", c.Client)
	t.add("gateway:", c.Proto+"."+c.Instance)
	t.add("listener:", c.Listener)
	t.add("node:", c.Node)
	t.add("username:", c.Username)
	t.add("peer:", c.Peer)
	t.add("protocol:", protocol(c))
	t.add("mountpoint:", c.Mountpoint)
	t.add("keepalive:", strconv.Itoa(c.Keepalive)+"s")
	t.add("clean start:", strconv.FormatBool(c.CleanStart))
	t.add("connected:", when(c.ConnectedAt))
	t.add("received:", strconv.FormatUint(c.Stats.RecvMsg, 10))
	t.add("sent:", strconv.FormatUint(c.Stats.SendMsg, 10))
	t.add("dropped:", strconv.FormatUint(c.Stats.Dropped, 10))
	t.add("waiting:", strconv.Itoa(c.Stats.Pending)+" to it, "+strconv.Itoa(c.Stats.Inflight)+" from it")
	if len(c.Subscriptions) == 0 {
		return x.show(c, t)
	}
	subs := table{header: []string{"SUBSCRIPTION", "TOPIC", "QOS", "DURABLE", "QUEUE"}}
	for _, s := range c.Subscriptions {
		subs.add(s.ID, s.Topic, strconv.Itoa(int(s.QoS)), strconv.FormatBool(s.Durable), strconv.FormatBool(s.Queue))
	}
	return x.show(c, t, subs)
}

func protocol(c api.ClientInfo) string {
	if c.ProtoVer == "" {
		return c.ProtoName
	}
	return c.ProtoName + " " + c.ProtoVer
}

func kickClient(x *ctl) error {
	name, err := x.gatewayArg()
	if err != nil {
		return err
	}
	k, err := ask[api.KickRequest, management.Kicked](x, "mgmt", "clients.kick",
		api.KickRequest{Gateway: name, Client: x.Args().Get(1), Reason: x.String("reason")})
	if err != nil {
		return err
	}
	return x.done(k)
}

// done prints the answer to a change: "ok" is for people.
func (x *ctl) done(v any) error {
	if x.json {
		return x.encode(v)
	}
	return x.say("ok")
}

// deleted is the JSON of what is no more.
func deleted() any { return map[string]bool{"deleted": true} }
