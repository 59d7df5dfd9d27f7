package management

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
)

const (
	maxMessages = 1000 // on a page
	glance      = 64   // bytes of a body, where not all of it is asked for
)

// Purged is how many messages are no more.
type Purged struct {
	Purged uint64 `json:"purged"`
}

// room is what is left of the answer: NATS takes a message of limited size.
type room int

func (s *Service) room() room { return room(int(s.NC.MaxPayload()) - answerRoom) }

// take makes room for v, and tells whether there was any.
func (r *room) take(v any) (bool, error) {
	data, err := json.Marshal(v)
	if err != nil || len(data)+1 > int(*r) {
		return false, err
	}
	*r -= room(len(data) + 1)
	return true, nil
}

// squeeze is take for what must be in the answer: body, which v has a part of,
// is cut until it fits.
func (r *room) squeeze(v any, body *[]byte) error {
	for {
		fits, err := r.take(v)
		if fits || err != nil || len(*body) == 0 {
			return err
		}
		*body = (*body)[:len(*body)/2]
	}
}

// beginning is the first bytes of a body.
func beginning(body []byte, n int) []byte { return body[:min(n, len(body))] }

// each gives f the messages of a stream that match filter, from a sequence on,
// until f has enough.
func (s *Service) each(ctx context.Context, op, stream, filter string, from uint64, f func(*jetstream.RawStreamMsg) (more bool, err error)) error {
	st, err := s.JS.Stream(ctx, stream)
	for more := true; more && err == nil; {
		var m *jetstream.RawStreamMsg
		m, err = st.GetMsg(ctx, max(from, 1), jetstream.WithGetMsgSubject(filter))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			break
		}
		if more, err = f(m); err != nil {
			return err
		}
		from = m.Sequence + 1
	}
	if err != nil {
		return api.Wrap(api.Unavailable, op, stream+" cannot be read now", err)
	}
	return nil
}

// counts is how many messages each subject has.
func (s *Service) counts(ctx context.Context, op, stream, filter string) (map[string]uint64, error) {
	st, err := s.JS.Stream(ctx, stream)
	if err == nil {
		var info *jetstream.StreamInfo
		if info, err = st.Info(ctx, jetstream.WithSubjectFilter(filter)); err == nil {
			return info.State.Subjects, nil
		}
	}
	return nil, api.Wrap(api.Unavailable, op, stream+" cannot be read now", err)
}

func sum(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// purge deletes all messages that match filter. It asks by itself because the
// client library does not tell how many there were.
func (s *Service) purge(ctx context.Context, op, stream, filter string) (Purged, error) {
	body, err := json.Marshal(map[string]string{"filter": filter})
	if err != nil {
		return Purged{}, err
	}
	m, err := s.NC.RequestWithContext(ctx, "$JS.API.STREAM.PURGE."+stream, body)
	var r struct {
		Error *jetstream.APIError `json:"error"`
		Purged
	}
	if err == nil {
		err = json.Unmarshal(m.Data, &r)
	}
	if err == nil && r.Error != nil {
		err = r.Error
	}
	if err != nil {
		return Purged{}, api.Wrap(api.Unavailable, op, stream+" cannot be purged now", err)
	}
	return r.Purged, nil
}

// pageLimit is the limit of a page of messages.
func pageLimit(op string, limit int) (int, error) {
	if limit == 0 {
		return defaultLimit, nil
	}
	if limit < 1 || limit > maxMessages {
		return 0, api.Errorf(api.Invalid, op, "limit must be 1 to %d", maxMessages)
	}
	return limit, nil
}

// expires is when a message ends by the time that its sender gave it; zero is
// never.
func expires(m *jetstream.RawStreamMsg) time.Time {
	v := m.Header.Get(jetstream.MsgTTLHeader)
	d, err := time.ParseDuration(v)
	if err != nil {
		if d, err = time.ParseDuration(v + "s"); err != nil {
			return time.Time{}
		}
	}
	return m.Time.Add(d).UTC()
}
