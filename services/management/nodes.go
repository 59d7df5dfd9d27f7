package management

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/pkg/subject"
	"sluice/streams"
)

// listNodes is the processes with a living lease, by name.
func (s *Service) listNodes(ctx context.Context, _ struct{}) ([]api.NodeLease, error) {
	return s.leases(ctx, "nodes.list")
}

func (s *Service) leases(ctx context.Context, op string) ([]api.NodeLease, error) {
	entries, err := s.read(ctx, s.nodes, jetstream.AllKeys)
	if err != nil {
		return nil, api.Wrap(api.Unavailable, op, "nodes cannot be read now", err)
	}
	all := []api.NodeLease{}
	for _, e := range entries {
		name, err := subject.Untoken(e.Key())
		if err != nil {
			continue // nobody's lease
		}
		var l api.NodeLease
		if err := json.Unmarshal(e.Value(), &l); err != nil {
			s.Log.Warn("lease is not understood", "node", name, "error", err)
		}
		l.Node = name // its address, whatever the record says
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b api.NodeLease) int { return strings.Compare(a.Node, b.Node) })
	return all, nil
}

// read is the entries of a bucket that match filter, by key. The leader of the stream
// names the keys: a watch would miss one that is written while it reads, as
// leases are all the time.
func (s *Service) read(ctx context.Context, kv jetstream.KeyValue, filter string) (all []jetstream.KeyValueEntry, err error) {
	bucket, err := s.JS.Stream(ctx, "KV_"+kv.Bucket())
	if err != nil {
		return nil, err
	}
	prefix := "$KV." + kv.Bucket() + "."
	info, err := bucket.Info(ctx, jetstream.WithSubjectFilter(prefix+filter))
	if err != nil {
		return nil, err
	}
	for _, subj := range slices.Sorted(maps.Keys(info.State.Subjects)) {
		e, err := kv.Get(ctx, strings.TrimPrefix(subj, prefix))
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue // deleted: the marker of it is what was named
		}
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// scatter asks all nodes at once and waits for all. missing are those that did
// not answer, or not with what was asked for.
func scatter[Req, Resp any](ctx context.Context, s *Service, nodes []api.NodeLease, verb string, req Req) (answers []Resp, missing []api.NodeLease) {
	ctx, cancel := context.WithTimeout(ctx, s.patience(ctx))
	defer cancel()
	found := make([]Resp, len(nodes))
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() {
			found[i], errs[i] = natsx.Call[Req, Resp](ctx, s.NC, streams.EdgeSubject(n.Node, verb, ""), req)
		})
	}
	wg.Wait()
	for i, n := range nodes {
		if errs[i] != nil {
			s.Log.Warn("node does not answer", "node", n.Node, "verb", verb, "error", errs[i])
			missing = append(missing, n)
			continue
		}
		answers = append(answers, found[i])
	}
	return answers, missing
}

// patience leaves the caller time to get a partial result.
func (s *Service) patience(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return min(s.NodeTimeout, time.Until(end)*3/4)
	}
	return s.NodeTimeout
}

func names(nodes []api.NodeLease) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, n.Node)
	}
	return out
}

// silent is the error when the answer depends on nodes that were not heard.
func silent(op, what string, missing []api.NodeLease) error {
	return api.Errorf(api.Unavailable, op, "%s, but these nodes did not answer: %s", what, strings.Join(names(missing), ", "))
}

// splitName takes "stomp.default", or "stomp" for all instances (inst is "").
func splitName(op, name string) (proto, inst string, err error) {
	proto, inst, dotted := strings.Cut(name, ".")
	if proto == "" || dotted && inst == "" {
		return "", "", api.Errorf(api.Invalid, op, "bad gateway name %q: want a protocol, or protocol.instance as in stomp.default", name)
	}
	return proto, inst, nil
}
