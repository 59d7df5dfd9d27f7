package management

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/streams"
)

// ListQueues asks which clients have messages waiting.
type ListQueues struct {
	Gateway string `json:"gateway,omitempty"` // "" = all
	Limit   int    `json:"limit,omitempty"`   // 1..1000, default 100
	After   string `json:"after,omitempty"`   // Next of the page before
}

// Waiting is a client with the messages that wait for it.
type Waiting struct {
	api.ClientKey
	Waiting uint64            `json:"waiting"`
	Queues  map[string]uint64 `json:"queues"` // by id; api.MainQueue is the session's own
}

// WaitingPage is a page of clients in the order of their keys.
type WaitingPage struct {
	Data  []Waiting `json:"data"`
	Next  string    `json:"next,omitempty"`
	Count int       `json:"count"` // on this and other pages
}

// ShowQueue asks for the messages that wait for a client.
type ShowQueue struct {
	Gateway string `json:"gateway,omitempty"` // "" = where the client has any
	Client  string `json:"clientid"`
	Limit   int    `json:"limit,omitempty"` // 1..1000, default 100
	After   uint64 `json:"after,omitempty"` // Next of the page before
	Body    bool   `json:"body,omitempty"`  // whole bodies, not their beginnings
}

// QueueMessage is one message that waits. Body is its beginning when it is
// shorter than Size: whole bodies are cut only when they do not fit an answer.
type QueueMessage struct {
	Seq     uint64    `json:"seq"`
	Queue   string    `json:"queue"`
	Topic   string    `json:"topic,omitempty"` // the subject it was published to
	Size    int       `json:"size"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires,omitzero"` // zero = never
	Body    []byte    `json:"body"`
}

// QueuePage is a page of a client's messages, oldest first.
type QueuePage struct {
	api.ClientKey
	Data  []QueueMessage `json:"data"`
	Next  uint64         `json:"next,omitempty"`
	Count uint64         `json:"count"` // on this and other pages
}

// PurgeQueue deletes what waits for a client.
type PurgeQueue struct {
	Gateway string `json:"gateway,omitempty"` // "" = where the client has any
	Client  string `json:"clientid"`
}

func (s *Service) listQueues(ctx context.Context, r ListQueues) (WaitingPage, error) {
	const op = "queue.list"
	limit, err := pageLimit(op, r.Limit)
	if err != nil {
		return WaitingPage{}, err
	}
	all, err := s.waiting(ctx, op, r.Gateway, "")
	if err != nil {
		return WaitingPage{}, err
	}
	page, room := WaitingPage{Data: []Waiting{}, Count: len(all)}, s.room()
	for _, w := range all {
		if w.String() <= r.After {
			continue
		}
		fits := false
		if len(page.Data) < limit {
			if fits, err = room.take(w); err != nil {
				return page, err
			}
		}
		if !fits && len(page.Data) == 0 { // so many queues that their names alone are too much
			return page, api.Errorf(api.TooLarge, op, "the queues of client %q do not fit an answer", w.Client)
		}
		if !fits {
			page.Next = page.Data[len(page.Data)-1].String()
			break
		}
		page.Data = append(page.Data, w)
	}
	return page, nil
}

// waiting is the clients that something waits for, by key; client "" is any.
func (s *Service) waiting(ctx context.Context, op, gateway, client string) ([]Waiting, error) {
	tail, err := clientFilter(op, gateway, client)
	if err != nil {
		return nil, err
	}
	counts, err := s.counts(ctx, op, streams.Queue, "gw.q.*."+tail+".*")
	if err != nil {
		return nil, err
	}
	of := map[string]*Waiting{}
	for subj, n := range counts {
		k, id, err := parseQueue(subj)
		if err != nil {
			s.Log.Warn("queue is not understood", "subject", subj, "error", err)
			continue
		}
		w := of[k.String()]
		if w == nil {
			w = &Waiting{ClientKey: k, Queues: map[string]uint64{}}
			of[k.String()] = w
		}
		w.Waiting += n
		w.Queues[id] = n
	}
	all := make([]Waiting, 0, len(of))
	for _, key := range slices.Sorted(maps.Keys(of)) {
		all = append(all, *of[key])
	}
	return all, nil
}

// theQueues is the one client that is meant.
func (s *Service) theQueues(ctx context.Context, op, gateway, client string) (Waiting, error) {
	if client == "" {
		return Waiting{}, api.Errorf(api.Invalid, op, "client id is empty")
	}
	found, err := s.waiting(ctx, op, gateway, client)
	switch {
	case err != nil:
		return Waiting{}, err
	case len(found) == 0:
		return Waiting{}, api.Errorf(api.NotFound, op, "nothing waits for client %q", client)
	case len(found) > 1:
		var all []string
		for _, w := range found {
			all = append(all, w.Proto+"."+w.Instance)
		}
		return Waiting{}, api.Errorf(api.Conflict, op, "several gateways have messages for client %q, name one: %s", client, strings.Join(all, ", "))
	}
	return found[0], nil
}

func (s *Service) showQueue(ctx context.Context, r ShowQueue) (QueuePage, error) {
	const op = "queue.show"
	limit, err := pageLimit(op, r.Limit)
	if err != nil {
		return QueuePage{}, err
	}
	w, err := s.theQueues(ctx, op, r.Gateway, r.Client)
	if err != nil {
		return QueuePage{}, err
	}
	page, room := QueuePage{ClientKey: w.ClientKey, Data: []QueueMessage{}, Count: w.Waiting}, s.room()
	err = s.each(ctx, op, streams.Queue, queuesOf(w.ClientKey), r.After+1, func(m *jetstream.RawStreamMsg) (bool, error) {
		if len(page.Data) == limit {
			page.Next = page.Data[limit-1].Seq
			return false, nil
		}
		q := queueMessage(m, r.Body)
		if len(page.Data) == 0 {
			err := room.squeeze(&q, &q.Body)
			page.Data = append(page.Data, q)
			return true, err
		}
		fits, err := room.take(q)
		if !fits {
			page.Next = page.Data[len(page.Data)-1].Seq
			return false, err
		}
		page.Data = append(page.Data, q)
		return true, nil
	})
	return page, err
}

func queueMessage(m *jetstream.RawStreamMsg, whole bool) QueueMessage {
	n := glance
	if whole {
		n = len(m.Data)
	}
	_, id, err := parseQueue(m.Subject)
	if err != nil {
		id = m.Subject
	}
	return QueueMessage{
		Seq: m.Sequence, Queue: id, Topic: m.Header.Get(streams.HdrSubject), Size: len(m.Data),
		At: m.Time.UTC(), Expires: expires(m), Body: beginning(m.Data, n),
	}
}

// purgeQueue takes the messages from under the session service, as their expiry
// does: what is on its way to the device may still arrive.
func (s *Service) purgeQueue(ctx context.Context, r PurgeQueue) (Purged, error) {
	const op = "queue.purge"
	w, err := s.theQueues(ctx, op, r.Gateway, r.Client)
	if err != nil {
		return Purged{}, err
	}
	r.Gateway = w.Proto + "." + w.Instance // who it was stands in the audit
	if err := s.audit(ctx, op, r); err != nil {
		return Purged{}, err
	}
	return s.purge(ctx, op, streams.Queue, queuesOf(w.ClientKey))
}

// queuesOf is the subjects of a client's queues.
func queuesOf(k api.ClientKey) string {
	return "gw.q." + strconv.Itoa(k.Partition()) + "." + k.String() + ".*"
}

// parseQueue is the inverse of api.ClientKey.QueueSubject.
func parseQueue(subj string) (k api.ClientKey, id string, err error) {
	tokens := strings.Split(subj, ".")
	if len(tokens) != 7 {
		return k, "", api.Errorf(api.Invalid, "", "%q is no queue", subj)
	}
	if k, err = api.ParseClientKey(strings.Join(tokens[3:6], ".")); err == nil {
		id, err = subject.Untoken(tokens[6])
	}
	if err == nil && k.QueueSubject(id) != subj {
		err = api.Errorf(api.Invalid, "", "%q is in a wrong partition", subj)
	}
	return k, id, err
}

// clientFilter is three tokens that match client keys; "" is any.
func clientFilter(op, gateway, client string) (string, error) {
	proto, inst, id := "*", "*", "*"
	if gateway != "" {
		p, i, err := splitName(op, gateway)
		if err != nil {
			return "", err
		}
		if proto = subject.Token(p); i != "" {
			inst = subject.Token(i)
		}
	}
	if client != "" {
		id = subject.Token(client)
	}
	return proto + "." + inst + "." + id, nil
}
