package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"

	"sluice/services/management"
)

func deadCommand() *cli.Command {
	which := []cli.Flag{
		&cli.StringFlag{Name: "gateway", Usage: "only letters of this gateway: `NAME` as in stomp.default, or stomp"},
		&cli.StringFlag{Name: "client", Usage: "only letters of this `CLIENT`"},
		&cli.StringFlag{Name: "reason", Usage: "only letters with this `REASON`, such as nack or max_deliver"},
	}
	all := &cli.BoolFlag{Name: "all", Usage: "all dead letters there are"}
	return group("dead", "messages that were given up",
		leaf("list", "", "dead letters, oldest first", listDead, append(slices.Clone(which), limitFlag())...),
		leaf("show", "SEQ", "one dead letter with its headers and its body", showDead),
		leaf("retry", "[SEQ]", "put a letter, or those of --client, back into the queue it came from", retryDead, which...),
		leaf("purge", "[SEQ]", "delete a letter, those that the flags choose, or all", purgeDead, append(slices.Clone(which), all)...),
	)
}

func (x *ctl) deadFilter() management.DeadFilter {
	return management.DeadFilter{Gateway: x.String("gateway"), Client: x.String("client"), Reason: x.String("reason")}
}

// seqArg is the sequence on the command line, 0 when there is none.
func (x *ctl) seqArg() (uint64, error) {
	if x.NArg() == 0 {
		return 0, nil
	}
	seq, err := strconv.ParseUint(x.Args().First(), 10, 64)
	if err != nil || seq == 0 {
		return 0, usagef("%q is no sequence: want a number of dead list", x.Args().First())
	}
	return seq, nil
}

func listDead(x *ctl) error {
	limit, err := x.limit()
	if err != nil {
		return err
	}
	r := management.ListDead{DeadFilter: x.deadFilter()}
	all := []management.DeadLetter{}
	for {
		r.Limit = pageOf(limit, len(all))
		page, err := ask[management.ListDead, management.DeadPage](x, "mgmt", "dead.list", r)
		if err != nil {
			return err
		}
		all = append(all, page.Data...)
		if r.After = page.Next; r.After == 0 || limit > 0 && len(all) >= limit {
			break
		}
	}
	t := table{header: []string{"SEQ", "REASON", "GATEWAY", "CLIENT", "TOPIC", "SIZE", "AT"}}
	for _, l := range all {
		t.add(strconv.FormatUint(l.Seq, 10), l.Reason, deadGateway(l), l.Client, l.Topic, strconv.Itoa(l.Size), when(l.At))
	}
	return x.show(all, t)
}

func deadGateway(l management.DeadLetter) string {
	if l.Proto == "" {
		return ""
	}
	return l.Proto + "." + l.Instance
}

func showDead(x *ctl) error {
	seq, err := x.seqArg()
	if err != nil {
		return err
	}
	l, err := ask[management.ShowDead, management.DeadLetter](x, "mgmt", "dead.show", management.ShowDead{Seq: seq})
	if err != nil {
		return err
	}
	var about table
	about.add("seq:", strconv.FormatUint(l.Seq, 10))
	about.add("reason:", l.Reason)
	about.add("gateway:", deadGateway(l))
	about.add("client:", l.Client)
	about.add("topic:", l.Topic)
	about.add("queue:", l.Queue)
	about.add("at:", when(l.At))
	about.add("size:", strconv.Itoa(l.Size))
	about.add("body:", body(l.Body, l.Size))
	headers := table{header: []string{"HEADER", "VALUE"}}
	for _, name := range slices.Sorted(maps.Keys(l.Header)) {
		for _, v := range l.Header[name] {
			headers.add(name, v)
		}
	}
	return x.show(l, about, headers)
}

// retryDead asks until all letters were tried that there were at the beginning.
func retryDead(x *ctl) error {
	seq, err := x.seqArg()
	if err != nil {
		return err
	}
	r := management.RetryDead{Seq: seq, DeadFilter: x.deadFilter()}
	var sum management.Retried
	for {
		got, err := ask[management.RetryDead, management.Retried](x, "mgmt", "dead.retry", r)
		if err != nil && sum.Retried > 0 {
			return fmt.Errorf("retried %d, then: %w", sum.Retried, err)
		}
		if err != nil {
			return err
		}
		sum.Retried += got.Retried
		sum.Failed = append(sum.Failed, got.Failed...)
		if r.After, r.Until = got.Next, got.Until; r.After == 0 {
			break
		}
	}
	if x.json {
		err = x.encode(sum)
	} else {
		err = x.say("retried " + strconv.Itoa(sum.Retried))
	}
	if err != nil || len(sum.Failed) == 0 {
		return err
	}
	first := sum.Failed[0]
	return fmt.Errorf("%d letters stay; the first is %d: %s", len(sum.Failed), first.Seq, first.Error)
}

func purgeDead(x *ctl) error {
	seq, err := x.seqArg()
	if err != nil {
		return err
	}
	p, err := ask[management.PurgeDead, management.Purged](x, "mgmt", "dead.purge",
		management.PurgeDead{Seq: seq, DeadFilter: x.deadFilter(), All: x.Bool("all")})
	if err != nil {
		return err
	}
	return x.purged(p)
}
