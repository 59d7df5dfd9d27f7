package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// directGet asks a stream for many messages at once (NATS ADR-31): of each
// subject under MultiLast the last one, or what comes under NextFor. Orbit's
// jetstreamext has it too, but without MaxBytes there, and it ends without a
// word when its time is over or the connection is lost.
type directGet struct {
	MultiLast []string `json:"multi_last,omitempty"`
	NextFor   string   `json:"next_by_subj,omitempty"`
	Seq       uint64   `json:"seq,omitempty"`       // the first that is wanted
	UpToSeq   uint64   `json:"up_to_seq,omitempty"` // of MultiLast: as it was then
	Batch     int      `json:"batch"`               // messages of a page at most
	MaxBytes  int      `json:"max_bytes,omitempty"` // with headers; the message that reaches it is the last
}

// page is how far an answer went.
type page struct {
	last    uint64 // sequence
	pending uint64 // that are left
	upTo    uint64 // UpToSeq, or what it was taken to be
}

const (
	headerPending = "Nats-Num-Pending"
	headerUpTo    = "Nats-UpTo-Sequence"
)

// errTooMany: the server does not look the last messages of more than 1024
// subjects up.
var errTooMany = errors.New("too many subjects")

// directGet gives each message to f and returns after the last one of the page.
func (n *Node) directGet(ctx context.Context, stream string, req directGet, f func(seq uint64, m *nats.Msg)) (page, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return page{}, err
	}
	inbox := n.NC.NewRespInbox()
	answers := make(chan *nats.Msg, req.Batch+1) // a page and its end: SubscribeSync would make room for 65536
	sub, err := n.NC.ChanSubscribe(inbox, answers)
	if err != nil {
		return page{}, err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only without a connection
	if err := n.NC.PublishRequest("$JS.API.DIRECT.GET."+stream, inbox, body); err != nil {
		return page{}, err
	}
	var p page
	for {
		m, err := nextAnswer(ctx, answers)
		if err != nil {
			return p, err
		}
		seq := number(m, jetstream.SequenceHeader)
		if seq == 0 {
			return p.end(m)
		}
		if seq <= p.last || seq < req.Seq { // or whoever asks for the next page would never end
			return p, fmt.Errorf("sequence %d after %d", seq, max(p.last, req.Seq))
		}
		p.last = seq
		f(seq, m)
	}
}

// nextAnswer is one, or the end. Without a connection none comes until ctx ends; a
// server that knows nothing of the stream says so by a status.
func nextAnswer(ctx context.Context, answers <-chan *nats.Msg) (*nats.Msg, error) {
	select {
	case m := <-answers:
		if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
			return nil, nats.ErrNoResponders
		}
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// end reads what is no message: the end, or why there is none.
func (p page) end(m *nats.Msg) (page, error) {
	switch status := m.Header.Get("Status"); {
	case status == "204":
		p.pending, p.upTo = number(m, headerPending), number(m, headerUpTo)
		return p, nil
	case status == "404" && p.last == 0:
		return p, nil
	case status == "413":
		return p, errTooMany
	default:
		return p, fmt.Errorf("direct get: %s %s", status, m.Header.Get("Description"))
	}
}

// number is what the server says: it writes below what a publisher wrote under
// the same name.
func number(m *nats.Msg, name string) uint64 {
	n, _ := strconv.ParseUint(last(m, name), 10, 64)
	return n
}

func last(m *nats.Msg, name string) string {
	if all := m.Header[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}
