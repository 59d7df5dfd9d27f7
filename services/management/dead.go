package management

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/streams"
)

// DeadFilter chooses dead letters; what is empty does not matter.
type DeadFilter struct {
	Gateway string `json:"gateway,omitempty"`
	Client  string `json:"clientid,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

// ListDead asks for a page of dead letters.
type ListDead struct {
	DeadFilter
	Limit int    `json:"limit,omitempty"` // 1..1000, default 100
	After uint64 `json:"after,omitempty"` // Next of the page before
}

// DeadLetter is a message that was given up.
type DeadLetter struct {
	api.ClientKey
	Seq    uint64      `json:"seq"`
	Reason string      `json:"reason"`
	Topic  string      `json:"topic,omitempty"` // the subject it was published to
	Queue  string      `json:"queue,omitempty"` // where a retry puts it; "" = nowhere
	Size   int         `json:"size"`
	At     time.Time   `json:"at"`               // of its giving up
	Header nats.Header `json:"header,omitempty"` // in dead.show
	Body   []byte      `json:"body,omitempty"`   // in dead.show; the beginning when shorter than Size
}

// DeadPage is a page of dead letters, oldest first.
type DeadPage struct {
	Data  []DeadLetter `json:"data"`
	Next  uint64       `json:"next,omitempty"`
	Count uint64       `json:"count"` // on this and other pages
}

// ShowDead asks for one dead letter.
type ShowDead struct {
	Seq uint64 `json:"seq"`
}

// PurgeDead deletes one dead letter, or those that match, or all.
type PurgeDead struct {
	Seq uint64 `json:"seq,omitempty"`
	DeadFilter
	All bool `json:"all,omitempty"` // an empty filter is meant
}

func (s *Service) listDead(ctx context.Context, r ListDead) (DeadPage, error) {
	const op = "dead.list"
	limit, err := pageLimit(op, r.Limit)
	if err != nil {
		return DeadPage{}, err
	}
	filter, err := r.subject(op)
	if err != nil {
		return DeadPage{}, err
	}
	counts, err := s.counts(ctx, op, streams.Dead, filter)
	if err != nil {
		return DeadPage{}, err
	}
	page, room := DeadPage{Data: []DeadLetter{}, Count: sum(counts)}, s.room()
	err = s.each(ctx, op, streams.Dead, filter, r.After+1, func(m *jetstream.RawStreamMsg) (bool, error) {
		l := letter(m)
		fits := len(page.Data) < limit
		if fits {
			var err error
			if fits, err = room.take(l); err != nil {
				return false, err
			}
		}
		if !fits && len(page.Data) > 0 {
			page.Next = page.Data[len(page.Data)-1].Seq
			return false, nil
		}
		page.Data = append(page.Data, l)
		return true, nil
	})
	return page, err
}

func (s *Service) showDead(ctx context.Context, r ShowDead) (DeadLetter, error) {
	const op = "dead.show"
	m, err := s.dead(ctx, op, r.Seq)
	if err != nil {
		return DeadLetter{}, err
	}
	l := letter(m)
	l.Header, l.Body = m.Header, m.Data
	for _, name := range []string{jetstream.StreamHeader, jetstream.SubjectHeader, jetstream.SequenceHeader, jetstream.TimeStampHeaer} {
		l.Header.Del(name) // of the answer, not of the letter
	}
	room := s.room()
	return l, room.squeeze(&l, &l.Body)
}

func (s *Service) purgeDead(ctx context.Context, r PurgeDead) (Purged, error) {
	const op = "dead.purge"
	switch {
	case r.Seq != 0 && (r.All || r.DeadFilter != DeadFilter{}), r.All && r.DeadFilter != (DeadFilter{}):
		return Purged{}, api.Errorf(api.Invalid, op, "one sequence, a filter, or all: not several of them")
	case r.Seq == 0 && !r.All && r.DeadFilter == DeadFilter{}:
		return Purged{}, api.Errorf(api.Invalid, op, "which ones? A sequence, a filter, or all")
	case r.Seq != 0:
		if _, err := s.dead(ctx, op, r.Seq); err != nil {
			return Purged{}, err
		}
		if err := s.audit(ctx, op, r); err != nil {
			return Purged{}, err
		}
		return Purged{1}, s.deleteDead(ctx, op, r.Seq)
	}
	filter, err := r.subject(op)
	if err != nil {
		return Purged{}, err
	}
	counts, err := s.counts(ctx, op, streams.Dead, filter)
	if err != nil || len(counts) == 0 {
		return Purged{}, err
	}
	if err := s.audit(ctx, op, r); err != nil {
		return Purged{}, err
	}
	return s.purge(ctx, op, streams.Dead, filter)
}

// dead reads one letter.
func (s *Service) dead(ctx context.Context, op string, seq uint64) (*jetstream.RawStreamMsg, error) {
	if seq == 0 {
		return nil, api.Errorf(api.Invalid, op, "sequences begin with 1")
	}
	st, err := s.JS.Stream(ctx, streams.Dead)
	if err == nil {
		var m *jetstream.RawStreamMsg
		if m, err = st.GetMsg(ctx, seq); err == nil {
			return m, nil
		}
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, api.Errorf(api.NotFound, op, "no dead letter %d", seq)
	}
	return nil, api.Wrap(api.Unavailable, op, streams.Dead+" cannot be read now", err)
}

// deleteDead deletes one letter; one that has gone already is no error.
func (s *Service) deleteDead(ctx context.Context, op string, seq uint64) error {
	st, err := s.JS.Stream(ctx, streams.Dead)
	if err == nil {
		err = st.DeleteMsg(ctx, seq)
	}
	if err == nil {
		return nil
	}
	if _, gone := s.dead(ctx, op, seq); api.KindOf(gone) == api.NotFound {
		return nil
	}
	return api.Wrap(api.Unavailable, op, "the letter cannot be deleted now", err)
}

// letter is what a list tells of a dead letter.
func letter(m *jetstream.RawStreamMsg) DeadLetter {
	l := DeadLetter{
		Seq: m.Sequence, Reason: m.Header.Get(streams.HdrReason), Topic: m.Header.Get(streams.HdrSubject),
		Size: len(m.Data), At: m.Time.UTC(),
	}
	l.ClientKey, _ = deadClient(m.Subject) // empty when nobody is known
	l.Queue, _ = home(m)
	return l
}

// deadClient is the client of gw.dead.<reason>.<proto>.<inst>.<client>.
func deadClient(subj string) (api.ClientKey, error) {
	tokens := strings.SplitN(subj, ".", 4)
	return api.ParseClientKey(tokens[len(tokens)-1])
}

// subject is the subjects of the letters that match.
func (f DeadFilter) subject(op string) (string, error) {
	if f == (DeadFilter{}) {
		return "gw.dead.>", nil
	}
	reason := "*"
	if f.Reason != "" {
		if reason = f.Reason; subject.Token(reason) != reason {
			return "", api.Errorf(api.Invalid, op, "%q is no reason: want one word, such as nack", f.Reason)
		}
	}
	tail, err := clientFilter(op, f.Gateway, f.Client)
	return "gw.dead." + reason + "." + tail, err
}
