package management

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/streams"
)

// retryPage is how many letters one call puts back.
const retryPage = 100

// RetryDead puts dead letters back where they came from: one, or those of a
// client. After and Until go on with a call that did not do all.
type RetryDead struct {
	Seq uint64 `json:"seq,omitempty"`
	DeadFilter
	After uint64 `json:"after,omitempty"` // Next of the answer before
	Until uint64 `json:"until,omitempty"` // Until of it
}

// Retried is what came of it. Letters that failed are still there.
type Retried struct {
	Retried int        `json:"retried"`
	Failed  []NotRetry `json:"failed,omitempty"`
	Next    uint64     `json:"next,omitempty"`  // 0 = all is done
	Until   uint64     `json:"until,omitempty"` // the last letter there was at the beginning: one that dies again is not tried for ever
}

// NotRetry is why a letter was not put back.
type NotRetry struct {
	Seq   uint64 `json:"seq"`
	Error string `json:"error"`
}

func (s *Service) retryDead(ctx context.Context, r RetryDead) (Retried, error) {
	const op = "dead.retry"
	switch {
	case r.Seq != 0 && r.DeadFilter != DeadFilter{}:
		return Retried{}, api.Errorf(api.Invalid, op, "one sequence, or those of a client: not both")
	case r.Seq == 0 && r.Client == "":
		return Retried{}, api.Errorf(api.Invalid, op, "which ones? A sequence, or a client")
	case r.Seq == 0:
		return s.retryMany(ctx, op, r)
	}
	m, err := s.dead(ctx, op, r.Seq)
	if err != nil {
		return Retried{}, err
	}
	if err := s.audit(ctx, op, r); err != nil {
		return Retried{}, err
	}
	if err := s.putBack(ctx, op, m); err != nil {
		return Retried{}, err
	}
	return Retried{Retried: 1}, nil
}

func (s *Service) retryMany(ctx context.Context, op string, r RetryDead) (Retried, error) {
	filter, err := r.subject(op)
	if err != nil {
		return Retried{}, err
	}
	if r.Until == 0 {
		if r.Until, err = s.lastDead(ctx, op, r.DeadFilter, filter); err != nil {
			return Retried{}, err
		}
	}
	if err := s.audit(ctx, op, r); err != nil {
		return Retried{}, err
	}
	out, last, tried, enough := Retried{Until: r.Until}, r.After, 0, time.Now().Add(s.patience(ctx))
	err = s.each(ctx, op, streams.Dead, filter, r.After+1, func(m *jetstream.RawStreamMsg) (bool, error) {
		if m.Sequence > r.Until {
			return false, nil
		}
		if tried == retryPage || tried > 0 && time.Now().After(enough) { // the caller still waits: tell it how far this came
			out.Next = last
			return false, nil
		}
		tried, last = tried+1, m.Sequence
		if err := s.putBack(ctx, op, m); err != nil {
			out.Failed = append(out.Failed, NotRetry{m.Sequence, err.Error()})
			return true, nil
		}
		out.Retried++
		return true, nil
	})
	return out, err
}

// lastDead is the sequence of the last letter that matches.
func (s *Service) lastDead(ctx context.Context, op string, f DeadFilter, filter string) (uint64, error) {
	st, err := s.JS.Stream(ctx, streams.Dead)
	if err == nil {
		var m *jetstream.RawStreamMsg
		if m, err = st.GetLastMsgForSubject(ctx, filter); err == nil {
			return m.Sequence, nil
		}
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, api.Errorf(api.NotFound, op, "no such dead letters of client %q", f.Client)
	}
	return 0, api.Wrap(api.Unavailable, op, streams.Dead+" cannot be read now", err)
}

// putBack publishes a letter to its queue and deletes it once that is confirmed.
// Cut off in between, it is done again, and the id keeps the message single for
// as long as the stream remembers.
func (s *Service) putBack(ctx context.Context, op string, letter *jetstream.RawStreamMsg) error {
	to, stream := home(letter)
	if to == "" {
		return api.Errorf(api.Conflict, op, "dead letter %d does not say which queue it came from", letter.Sequence)
	}
	if err := s.wanted(ctx, op, to, stream); err != nil {
		return err
	}
	_, err := s.JS.PublishMsg(ctx, revived(letter, to, stream))
	if e, ok := errors.AsType[*jetstream.APIError](err); ok && strings.Contains(e.Description, "per subject") {
		return api.Errorf(api.Busy, op, "the queue of dead letter %d is full", letter.Sequence)
	}
	if err != nil {
		return api.Wrap(api.Unavailable, op, "the message cannot be put back now", err)
	}
	return s.deleteDead(ctx, op, letter.Sequence)
}

// home is the subject that a letter goes back to, and its stream; "" when it
// does not say. A queue that is not its client's own is not believed.
func home(letter *jetstream.RawStreamMsg) (subj, stream string) {
	if q := letter.Header.Get(streams.HdrQueue); q != "" {
		owner, err := deadClient(letter.Subject)
		k, _, qerr := parseQueue(q)
		if err == nil && qerr == nil && k == owner {
			return q, streams.Queue
		}
	}
	if w := letter.Header.Get(streams.HdrSubject); strings.HasPrefix(w, "gw.work.") && strings.Count(w, ".") == 2 {
		return w, streams.Work
	}
	return "", ""
}

// revived is the message as it was before it died. Gw-Seq goes: the session
// service takes a message that has it for its own copy, and would not wake a
// connected client.
func revived(letter *jetstream.RawStreamMsg, to, stream string) *nats.Msg {
	m := nats.NewMsg(to)
	m.Data = letter.Data
	for name, values := range letter.Header {
		if !strings.HasPrefix(name, "Nats-") {
			m.Header[name] = values
		}
	}
	drop := []string{streams.HdrReason, streams.HdrQueue, streams.HdrSeq}
	if stream == streams.Work { // there it is only in the letter
		drop = append(drop, streams.HdrSubject)
	}
	for _, name := range drop {
		m.Header.Del(name)
	}
	m.Header.Set(nats.MsgIdHdr, "retry."+strconv.FormatUint(letter.Sequence, 10)+"."+strconv.FormatInt(letter.Time.UnixNano(), 36))
	return m
}

// wanted fails when a durable subscription is no more: its message would wait
// for nobody. The main queue also takes what comes before its client does.
func (s *Service) wanted(ctx context.Context, op, to, stream string) error {
	if stream != streams.Queue {
		return nil
	}
	k, id, err := parseQueue(to)
	if err != nil || id == api.MainQueue {
		return err
	}
	e, err := s.sessions.Get(ctx, streams.SessionKey(k))
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		return api.Wrap(api.Unavailable, op, "sessions cannot be read now", err)
	}
	var rec api.Session
	if err == nil {
		if err := json.Unmarshal(e.Value(), &rec); err != nil {
			return api.Wrap(api.Internal, op, "the session of "+k.String()+" is not understood", err)
		}
	}
	if _, ok := rec.Subs[id]; !ok {
		return api.Errorf(api.Conflict, op, "client %q has no subscription %q any more", k.Client, id)
	}
	return nil
}
