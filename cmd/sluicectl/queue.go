package main

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"sluice/pkg/api"
	"sluice/services/management"
)

func queueCommand() *cli.Command {
	gateway := &cli.StringFlag{Name: "gateway", Usage: "the `NAME` of the client's gateway, where several have such a client"}
	return group("queue", "messages that wait for devices",
		leaf("list", "[NAME]", "clients with messages waiting, of a gateway (stomp.default, or stomp), or of all", listQueues),
		leaf("show", "CLIENT", "the messages that wait for a client, oldest first", showQueue, gateway, limitFlag(),
			&cli.BoolFlag{Name: "body", Usage: "whole bodies, not their beginnings"},
		),
		leaf("purge", "CLIENT", "delete all that waits for a client", purgeQueue, gateway),
	)
}

func limitFlag() cli.Flag {
	return &cli.IntFlag{Name: "limit", Usage: "at most `N` messages (default: all)"}
}

// limit is that of the flag; 0 is none.
func (x *ctl) limit() (int, error) {
	n := x.Int("limit")
	if n < 0 || x.IsSet("limit") && n == 0 {
		return 0, usagef("limit must be positive")
	}
	return n, nil
}

// pageOf is how many to ask for when there are some already.
func pageOf(limit, have int) int {
	if limit == 0 {
		return clientsPage
	}
	return min(clientsPage, limit-have)
}

func listQueues(x *ctl) error {
	r := management.ListQueues{Limit: clientsPage}
	if x.NArg() > 0 {
		var err error
		if r.Gateway, err = x.gatewayArg(); err != nil {
			return err
		}
	}
	all := []management.Waiting{}
	for {
		page, err := ask[management.ListQueues, management.WaitingPage](x, "mgmt", "queue.list", r)
		if err != nil {
			return err
		}
		all = append(all, page.Data...)
		if r.After = page.Next; r.After == "" {
			break
		}
	}
	t := table{header: []string{"GATEWAY", "CLIENT", "WAITING", "QUEUES"}}
	for _, w := range all {
		t.add(w.Proto+"."+w.Instance, w.Client, strconv.FormatUint(w.Waiting, 10), strings.Join(slices.Sorted(maps.Keys(w.Queues)), ","))
	}
	return x.show(all, t)
}

func showQueue(x *ctl) error {
	limit, err := x.limit()
	if err != nil {
		return err
	}
	r := management.ShowQueue{Gateway: x.String("gateway"), Client: x.Args().First(), Body: x.Bool("body")}
	all := []management.QueueMessage{}
	for {
		r.Limit = pageOf(limit, len(all))
		page, err := ask[management.ShowQueue, management.QueuePage](x, "mgmt", "queue.show", r)
		if err != nil && (r.After == 0 || api.KindOf(err) != api.NotFound) {
			return err // but for a client that got the rest while we read
		}
		all = append(all, page.Data...)
		if r.After = page.Next; r.After == 0 || limit > 0 && len(all) >= limit {
			break
		}
		r.Gateway = page.Proto + "." + page.Instance
	}
	now := time.Now()
	t := table{header: []string{"SEQ", "QUEUE", "TOPIC", "SIZE", "AGE", "TTL", "BODY"}}
	for _, m := range all {
		ttl := ""
		if !m.Expires.IsZero() {
			ttl = span(m.Expires.Sub(now))
		}
		t.add(strconv.FormatUint(m.Seq, 10), m.Queue, m.Topic, strconv.Itoa(m.Size), span(now.Sub(m.At)), ttl, body(m.Body, m.Size))
	}
	return x.show(all, t)
}

func purgeQueue(x *ctl) error {
	p, err := ask[management.PurgeQueue, management.Purged](x, "mgmt", "queue.purge",
		management.PurgeQueue{Gateway: x.String("gateway"), Client: x.Args().First()})
	if err != nil {
		return err
	}
	return x.purged(p)
}

func (x *ctl) purged(p management.Purged) error {
	if x.json {
		return x.encode(p)
	}
	return x.say("purged " + strconv.FormatUint(p.Purged, 10))
}

// span is a duration for people. Clocks differ: none is negative.
func span(d time.Duration) string { return max(d, 0).Round(time.Second).String() }

// body is a body for people, with a mark when there is more of it.
func body(b []byte, size int) string {
	if len(b) < size {
		return clean(string(b)) + "..."
	}
	return string(b)
}
