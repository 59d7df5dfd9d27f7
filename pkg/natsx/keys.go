package natsx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"sluice/streams"
)

// casTries bounds how often a refused write is looked into and repeated.
const casTries = 3

const (
	hdrLease     = "Gw-Lease" // who wrote a lease's key
	hdrOperation = "KV-Operation"

	codeNotFound           = 10037
	codeWrongSequence      = 10071
	codeWrongSequenceInUse = 10164 // replicated: another write of the subject is under way
)

// keys is one key of a bucket as its stream sees it: what the KV interface of
// jetstream cannot say is said with headers.
type keys struct {
	js          jetstream.JetStream
	bucket, key string
}

func (k keys) subject() string { return "$KV." + k.bucket + "." + k.key }

func (k keys) put(ctx context.Context, id string, value []byte, expect uint64, ttl time.Duration) (uint64, error) {
	m := nats.NewMsg(k.subject())
	m.Data = value
	m.Header.Set(hdrLease, id)
	// The server cuts a TTL to seconds; the holder must never think longer than it.
	return k.publish(ctx, m, expect, (ttl + time.Second - 1).Truncate(time.Second))
}

// purge leaves a marker for watchers that goes away by itself; a delete's would
// stay for ever.
func (k keys) purge(ctx context.Context, expect uint64) (uint64, error) {
	m := nats.NewMsg(k.subject())
	m.Header.Set(hdrOperation, "PURGE")
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	return k.publish(ctx, m, expect, streams.MarkerTTL)
}

func (k keys) publish(ctx context.Context, m *nats.Msg, expect uint64, ttl time.Duration) (uint64, error) {
	ack, err := k.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(expect), jetstream.WithMsgTTL(ttl))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// state is the last message of a key; seq is 0 when there is none.
type state struct {
	seq  uint64
	id   string
	live bool // a value, no marker
}

// last asks the stream's leader. The Get of jetstream asks any replica of a
// bucket, and one that lags would make a stranger's key look like ours.
func (k keys) last(ctx context.Context) (state, error) {
	ask, err := json.Marshal(struct {
		Subject string `json:"last_by_subj"`
	}{k.subject()})
	if err != nil {
		return state{}, err
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	api := "$JS.API.STREAM.MSG.GET.KV_" + k.bucket
	m, err := k.js.Conn().RequestWithContext(ctx, api, ask)
	if err != nil {
		return state{}, fmt.Errorf("read key: %w", err)
	}
	return parseState(m.Data)
}

func parseState(data []byte) (state, error) {
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Sequence uint64 `json:"seq"`
			Header   []byte `json:"hdrs"`
		} `json:"message"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return state{}, fmt.Errorf("read key: %w", err)
	}
	if e := answer.Error; e != nil && e.ErrorCode == codeNotFound {
		return state{}, nil
	} else if e != nil {
		return state{}, fmt.Errorf("read key: %w", e)
	}
	st := state{seq: answer.Message.Sequence, live: true}
	if len(answer.Message.Header) == 0 {
		return st, nil
	}
	h, err := nats.DecodeHeadersMsg(answer.Message.Header)
	if err != nil {
		return state{}, fmt.Errorf("read key: %w", err)
	}
	st.id = h.Get(hdrLease)
	st.live = h.Get(hdrOperation) == "" && h.Get(jetstream.MarkerReasonHeader) == ""
	return st, nil
}

// wrongSequence tells a compare-and-swap that was refused.
func wrongSequence(err error) bool {
	e, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (e.ErrorCode == codeWrongSequence || e.ErrorCode == codeWrongSequenceInUse)
}

// withTimeout bounds a request whose caller did not.
func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, callTimeout)
}

// NewID is a short unique text for incarnations and leases, of [A-Za-z0-9]. Its
// end differs from one call to the next; its beginning only between processes.
func NewID() string { return nuid.Next() }
