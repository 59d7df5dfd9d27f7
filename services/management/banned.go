package management

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/streams"
)

// ListBans asks for a page of bans.
type ListBans struct {
	Limit int    `json:"limit,omitempty"` // 1..1000, default 100
	After string `json:"after,omitempty"` // Next of the page before
}

// BanPage is a page of bans in the order of their keys. Those that are over are
// not in it.
type BanPage struct {
	Data  []api.Ban `json:"data"`
	Next  string    `json:"next,omitempty"`
	Count int       `json:"count"` // on this and other pages
}

// DeleteBan lifts a ban.
type DeleteBan struct {
	As  string `json:"as"`
	Who string `json:"who"`
}

const (
	maxBans    = 1000 // on a page
	maxWho     = 256
	maxBanText = 1024
)

func (s *Service) listBans(ctx context.Context, r ListBans) (BanPage, error) {
	const op = "banned.list"
	if r.Limit == 0 {
		r.Limit = defaultLimit
	}
	if r.Limit < 1 || r.Limit > maxBans {
		return BanPage{}, api.Errorf(api.Invalid, op, "limit must be 1 to %d", maxBans)
	}
	entries, err := s.read(ctx, s.bans, jetstream.AllKeys)
	if err != nil {
		return BanPage{}, api.Wrap(api.Unavailable, op, "bans cannot be read now", err)
	}
	slices.SortFunc(entries, func(a, b jetstream.KeyValueEntry) int { return strings.Compare(a.Key(), b.Key()) })
	page := BanPage{Data: []api.Ban{}}
	last := ""
	for _, e := range entries {
		var b api.Ban
		if json.Unmarshal(e.Value(), &b) != nil || over(b) {
			continue
		}
		page.Count++
		switch {
		case e.Key() <= r.After:
		case len(page.Data) < r.Limit:
			page.Data = append(page.Data, b)
			last = e.Key()
		default:
			page.Next = last
		}
	}
	return page, nil
}

// putBan bans from now on; edges see it by their watch and close whoever it
// names. It replaces an earlier ban of the same.
func (s *Service) putBan(ctx context.Context, b api.Ban) (api.Ban, error) {
	const op = "banned.put"
	who, err := checkWho(op, b.As, b.Who)
	if err != nil {
		return api.Ban{}, err
	}
	if len(b.By) > maxBanText || len(b.Reason) > maxBanText {
		return api.Ban{}, api.Errorf(api.TooLarge, op, "by or reason is longer than %d bytes", maxBanText)
	}
	b.Who, b.At = who, time.Now().UTC()
	if b.By == "" {
		b.By = operator
	}
	if over(b) {
		return api.Ban{}, api.Errorf(api.Invalid, op, "until %s is past", b.Until.Format(time.RFC3339))
	}
	if err := s.audit(ctx, op, b); err != nil {
		return api.Ban{}, err
	}
	if err := s.writeBan(ctx, b); err != nil {
		return api.Ban{}, api.Wrap(api.Unavailable, op, "bans cannot be written now", err)
	}
	return b, nil
}

// writeBan lets the record go when the ban is over. The KV interface knows no
// TTL of a put, the stream does; it cuts it to seconds.
func (s *Service) writeBan(ctx context.Context, b api.Ban) error {
	value, err := json.Marshal(b)
	if err != nil {
		return err
	}
	key := gateway.BanKey(b.As, b.Who)
	if b.Until.IsZero() {
		_, err = s.bans.Put(ctx, key, value)
		return err
	}
	m := nats.NewMsg("$KV." + streams.Banned + "." + key)
	m.Data = value
	_, err = s.JS.PublishMsg(ctx, m, jetstream.WithMsgTTL((time.Until(b.Until) + time.Second).Truncate(time.Second)))
	return err
}

func (s *Service) deleteBan(ctx context.Context, r DeleteBan) (bool, error) {
	const op = "banned.delete"
	who, err := checkWho(op, r.As, r.Who)
	if err != nil {
		return false, err
	}
	r.Who = who
	key := gateway.BanKey(r.As, who)
	if _, err := s.bans.Get(ctx, key); errors.Is(err, jetstream.ErrKeyNotFound) {
		return false, api.Errorf(api.NotFound, op, "%s %q is not banned", r.As, who)
	} else if err != nil {
		return false, api.Wrap(api.Unavailable, op, "bans cannot be read now", err)
	}
	if err := s.audit(ctx, op, r); err != nil {
		return false, err
	}
	if err := s.bans.Purge(ctx, key, jetstream.PurgeTTL(streams.MarkerTTL)); err != nil {
		return false, api.Wrap(api.Unavailable, op, "bans cannot be written now", err)
	}
	return true, nil
}

func over(b api.Ban) bool { return !b.Until.IsZero() && !time.Now().Before(b.Until) }

// checkWho returns who as the door will compare it.
func checkWho(op, as, who string) (string, error) {
	if who == "" || len(who) > maxWho {
		return "", api.Errorf(api.Invalid, op, "who must have 1 to %d bytes", maxWho)
	}
	switch as {
	case "clientid", "username":
		return who, nil
	case "peerhost":
		ip, err := netip.ParseAddr(who)
		if err != nil {
			return "", api.Errorf(api.Invalid, op, "peerhost %q is no IP address", who)
		}
		return ip.Unmap().String(), nil
	}
	return "", api.Errorf(api.Invalid, op, "a ban is as clientid, username or peerhost, not %q", as)
}
