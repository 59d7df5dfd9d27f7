package gateway

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/streams"
)

const (
	retainedTimeout = 10 * time.Second
	pageCount       = 256
	pageBytes       = 1 << 20 // what is on its way to this process for one reader
)

// retained are the retained messages under subject filters: each once, oldest
// first, no more than maxCount or of maxBytes, as an inbox weighs them. cut tells
// that there are more. With an error, what was read so far comes back.
//
// On a replicated stream any replica may answer, and one that is behind does not
// know the newest message yet. It comes by the subscription, which is in force
// before this reads.
func (n *Node) retained(ctx context.Context, filters []string, maxCount, maxBytes int) (kept []*Inbound, cut bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, retainedTimeout)
	defer cancel()
	under := make([]string, len(filters))
	for i, f := range filters {
		under[i] = streams.RetainedSubject(f)
	}
	k := &keeper{count: maxCount, bytes: maxBytes}
	if err = n.retainedLast(ctx, k, under); errors.Is(err, errTooMany) {
		k = &keeper{count: maxCount, bytes: maxBytes}
		err = n.retainedNext(ctx, k, under)
	}
	return k.messages(), k.full, err
}

// retainedLast has the server look up and order the messages of all filters,
// which it does for 1024 subjects.
func (n *Node) retainedLast(ctx context.Context, k *keeper, filters []string) error {
	req := directGet{MultiLast: filters, Batch: pageCount, MaxBytes: pageBytes}
	for {
		p, err := n.directGet(ctx, streams.Retained, req, k.add)
		if err != nil || p.pending == 0 || k.full {
			return err
		}
		req.Seq, req.UpToSeq = p.last+1, p.upTo
	}
}

// retainedNext reads one filter after the other. The stream has one message of a
// subject, so each is the last; those after its end as of now are new.
func (n *Node) retainedNext(ctx context.Context, k *keeper, filters []string) error {
	info, err := n.retainedStream.Info(ctx)
	if err != nil {
		return err
	}
	end := info.State.LastSeq
	for _, f := range filters {
		req := directGet{NextFor: f, Seq: 1, Batch: pageCount, MaxBytes: pageBytes}
		for req.Seq <= end && !k.full {
			p, err := n.directGet(ctx, streams.Retained, req, func(seq uint64, m *nats.Msg) {
				if seq <= end {
					k.add(seq, m)
				}
			})
			if err != nil {
				return err
			}
			if p.pending == 0 {
				break
			}
			req.Seq = p.last + 1
		}
	}
	return nil
}

// keeper gathers retained messages, no more than it may.
type keeper struct {
	found        []found
	seen         map[uint64]bool
	count, bytes int // that may still come
	full         bool
}

type found struct {
	seq uint64
	in  *Inbound
}

func (k *keeper) add(seq uint64, m *nats.Msg) {
	if len(m.Data) == 0 || k.seen[seq] { // cleared, or under two filters
		return
	}
	in := newInbound(streams.RetainedOf(last(m, jetstream.SubjectHeader)), m.Header, m.Data)
	in.Retain = true
	size := weight(Event{Delivery: Delivery{Msg: in}})
	if k.full || k.count == 0 || size > k.bytes {
		k.full = true
		return
	}
	if k.seen == nil {
		k.seen = map[uint64]bool{}
	}
	k.seen[seq] = true
	k.count--
	k.bytes -= size
	k.found = append(k.found, found{seq, in})
}

// messages are those that were gathered, in the stream's order.
func (k *keeper) messages() []*Inbound {
	slices.SortFunc(k.found, func(a, b found) int { return cmp.Compare(a.seq, b.seq) })
	all := make([]*Inbound, len(k.found))
	for i, x := range k.found {
		all[i] = x.in
	}
	return all
}
