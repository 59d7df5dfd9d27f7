package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ioTimeout bounds one question to JetStream.
const ioTimeout = 5 * time.Second

// codeNotFound is JetStream's "no such message" (server errors.json).
const codeNotFound = 10037

// queued is a message as it stands in a stream.
type queued struct {
	seq    uint64
	header nats.Header
	data   []byte
	subj   string
}

// errEmpty says that there is no such message.
var errEmpty = errors.New("session: no such message")

// messages is one stream, read message by message.
type messages struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	name   string
}

func openMessages(ctx context.Context, js jetstream.JetStream, name string) (messages, error) {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	s, err := js.Stream(ctx, name)
	if err != nil {
		return messages{}, fmt.Errorf("session: %s: %w", name, err)
	}
	return messages{js, s, name}, nil
}

// next finds the first message of a subject with sequence from or later. Without
// leader any replica may answer: then errEmpty only says that it has none yet.
func (l messages) next(ctx context.Context, subj string, from uint64, leader bool) (*queued, error) {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	if leader {
		return l.ask(ctx, map[string]any{"seq": from, "next_by_subj": subj})
	}
	m, err := l.stream.GetMsg(ctx, from, jetstream.WithGetMsgSubject(subj))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, errEmpty
	}
	if err != nil {
		return nil, fmt.Errorf("session: read %s: %w", l.name, err)
	}
	return &queued{m.Sequence, m.Header, m.Data, m.Subject}, nil
}

// last reads the last message of a subject, from the leader.
func (l messages) last(ctx context.Context, subj string) (*queued, error) {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	return l.ask(ctx, map[string]any{"last_by_subj": subj})
}

// get reads one message, from the leader.
func (l messages) get(ctx context.Context, seq uint64) (*queued, error) {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	return l.ask(ctx, map[string]any{"seq": seq})
}

// ask is what jetstream does not do for streams with direct get: it asks the
// leader, which is never late.
func (l messages) ask(ctx context.Context, what map[string]any) (*queued, error) {
	body, err := json.Marshal(what)
	if err != nil {
		return nil, err
	}
	m, err := l.js.Conn().RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+l.name, body)
	if err != nil {
		return nil, fmt.Errorf("session: read %s: %w", l.name, err)
	}
	var r struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Subject string `json:"subject"`
			Seq     uint64 `json:"seq"`
			Header  []byte `json:"hdrs"`
			Data    []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &r); err != nil {
		return nil, fmt.Errorf("session: read %s: %w", l.name, err)
	}
	if r.Error != nil && r.Error.ErrorCode == codeNotFound {
		return nil, errEmpty
	} else if r.Error != nil {
		return nil, fmt.Errorf("session: read %s: %w", l.name, r.Error)
	}
	q := &queued{seq: r.Message.Seq, data: r.Message.Data, subj: r.Message.Subject, header: nats.Header{}}
	if len(r.Message.Header) > 0 {
		if q.header, err = nats.DecodeHeadersMsg(r.Message.Header); err != nil {
			return nil, fmt.Errorf("session: read %s: %w", l.name, err)
		}
	}
	return q, nil
}

// remove deletes a message; one that has gone already is no error.
func (l messages) remove(ctx context.Context, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	err := l.stream.DeleteMsg(ctx, seq)
	if err == nil {
		return nil
	}
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) { // of the reason only the text is left
		if _, gone := l.ask(ctx, map[string]any{"seq": seq}); errors.Is(gone, errEmpty) {
			return nil
		}
	}
	return fmt.Errorf("session: delete from %s: %w", l.name, err)
}

func (l messages) purge(ctx context.Context, subj string) error {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	if err := l.stream.Purge(ctx, jetstream.WithPurgeSubject(subj)); err != nil {
		return fmt.Errorf("session: purge %s: %w", l.name, err)
	}
	return nil
}

// state is what the leader says of the stream.
func (l messages) state(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, ioTimeout)
	defer cancel()
	info, err := l.stream.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("session: state of %s: %w", l.name, err)
	}
	return info, nil
}

// ownHeader copies headers without those that mean something to NATS.
func ownHeader(h nats.Header) nats.Header {
	out := make(nats.Header, len(h)+4)
	for name, values := range h {
		if !strings.HasPrefix(name, "Nats-") {
			out[name] = values
		}
	}
	return out
}

// lastSeq is the sequence of the last message, from the leader.
func (l messages) lastSeq(ctx context.Context) (uint64, error) {
	info, err := l.state(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}
