package management

import (
	"context"
	"encoding/json"
	"slices"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/pkg/subject"
	"sluice/streams"
)

// Kicked is the clients whose connections were closed.
type Kicked struct {
	Kicked []api.ClientKey `json:"kicked"`
}

// kickTries is how often the owner is looked up: the client may move to another
// node between the look and the kick.
const kickTries = 2

// kick closes the client in every instance that the name stands for.
func (s *Service) kick(ctx context.Context, r api.KickRequest) (Kicked, error) {
	const op = "clients.kick"
	proto, inst, err := splitName(op, r.Gateway)
	if err != nil {
		return Kicked{}, err
	}
	if r.Client == "" {
		return Kicked{}, api.Errorf(api.Invalid, op, "client id is empty")
	}
	filter := subject.Token(proto) + ".*." + subject.Token(r.Client)
	if inst != "" {
		filter = api.ClientKey{Proto: proto, Instance: inst, Client: r.Client}.String()
	}
	out := Kicked{Kicked: []api.ClientKey{}}
	for try := range kickTries {
		owners, err := s.owners(ctx, op, filter)
		if err != nil {
			return out, err
		}
		if try == 0 && len(owners) > 0 {
			if err := s.audit(ctx, op, r); err != nil {
				return out, err
			}
		}
		for _, o := range owners {
			if err := s.kickAt(ctx, op, o, r, &out); err != nil {
				return out, err
			}
		}
		if len(owners) == 0 || len(out.Kicked) >= len(owners) {
			break
		}
	}
	if len(out.Kicked) == 0 {
		return out, api.Errorf(api.NotFound, op, "no client %q in %s", r.Client, r.Gateway)
	}
	return out, nil
}

// owned is a client and the node that has it.
type owned struct {
	key  api.ClientKey
	node string
}

func (s *Service) owners(ctx context.Context, op, filter string) ([]owned, error) {
	entries, err := s.read(ctx, s.clients, filter)
	if err != nil {
		return nil, api.Wrap(api.Unavailable, op, "owners cannot be read now", err)
	}
	var all []owned
	for _, e := range entries {
		var o api.Owner
		key, err := api.ParseClientKey(e.Key())
		if err != nil || json.Unmarshal(e.Value(), &o) != nil {
			s.Log.Warn("owner record is not understood", "key", e.Key(), "revision", e.Revision())
			continue
		}
		all = append(all, owned{key, o.Node})
	}
	return all, nil
}

// kickAt asks the owner's node. A node without a lease is dead, and its devices
// are gone with it: that is no client, not a failure.
func (s *Service) kickAt(ctx context.Context, op string, o owned, r api.KickRequest, out *Kicked) error {
	if slices.Contains(out.Kicked, o.key) {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, s.patience(ctx))
	defer cancel()
	gone, err := natsx.Call[api.KickRequest, bool](wait, s.NC, streams.EdgeSubject(o.node, "kick", o.key.String()), r)
	if err == nil {
		if gone {
			out.Kicked = append(out.Kicked, o.key)
		}
		return nil
	}
	nodes, lerr := s.leases(ctx, op)
	if lerr != nil {
		return lerr
	}
	if !slices.Contains(names(nodes), o.node) {
		return nil
	}
	return api.Wrap(api.Unavailable, op, "node "+o.node+", which has the client, does not answer", err)
}
