package main

import (
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"sluice/pkg/api"
	"sluice/services/management"
)

func bannedCommand() *cli.Command {
	as := &cli.StringFlag{Name: "as", Usage: "what WHO is: clientid, username or peerhost (an IP address)"}
	return group("gateway-banned", "who is kept out of all gateways",
		leaf("list", "", "all bans", listBans),
		leaf("add", "WHO", "keep WHO out, and close its connections", addBan, as,
			&cli.StringFlag{Name: "until", Usage: "`TIME` (RFC 3339) or a duration from now, such as 24h (default: for ever)"},
			&cli.StringFlag{Name: "reason", Usage: "`TEXT` for the list"},
		),
		leaf("delete", "WHO", "let WHO in again", deleteBan, as),
	)
}

func listBans(x *ctl) error {
	all := []api.Ban{}
	for r := (management.ListBans{Limit: clientsPage}); ; {
		page, err := ask[management.ListBans, management.BanPage](x, "mgmt", "banned.list", r)
		if err != nil {
			return err
		}
		all = append(all, page.Data...)
		if r.After = page.Next; r.After == "" {
			break
		}
	}
	t := table{header: []string{"AS", "WHO", "BY", "AT", "UNTIL", "REASON"}}
	for _, b := range all {
		t.add(b.As, b.Who, b.By, when(b.At), when(b.Until), b.Reason)
	}
	return x.show(all, t)
}

func addBan(x *ctl) error {
	as, err := x.asFlag()
	if err != nil {
		return err
	}
	until, err := parseUntil(x.String("until"), time.Now())
	if err != nil {
		return err
	}
	b, err := ask[api.Ban, api.Ban](x, "mgmt", "banned.put", api.Ban{As: as, Who: x.Args().First(), Reason: x.String("reason"), Until: until})
	if err != nil {
		return err
	}
	return x.done(b)
}

func deleteBan(x *ctl) error {
	as, err := x.asFlag()
	if err != nil {
		return err
	}
	if _, err := ask[management.DeleteBan, bool](x, "mgmt", "banned.delete", management.DeleteBan{As: as, Who: x.Args().First()}); err != nil {
		return err
	}
	return x.done(deleted())
}

func (x *ctl) asFlag() (string, error) {
	as := x.String("as")
	if !slices.Contains([]string{"clientid", "username", "peerhost"}, as) {
		return "", usagef("--as must be clientid, username or peerhost")
	}
	return as, nil
}

// parseUntil takes a time or a duration from now; "" is for ever.
func parseUntil(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		d, derr := time.ParseDuration(s)
		if derr != nil {
			return t, usagef("--until %q is neither a time such as 2026-12-31T00:00:00Z nor a duration such as 24h", s)
		}
		t = now.Add(d)
	}
	if !t.After(now) {
		return t, usagef("--until %s is past", s)
	}
	return t.UTC(), nil
}
