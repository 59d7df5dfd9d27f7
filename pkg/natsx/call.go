package natsx

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"sluice/pkg/api"
)

// callTimeout is for callers whose context has no deadline.
const callTimeout = 5 * time.Second

// Call asks a service and waits for its answer, for 5 s when ctx has no
// deadline. Every error is an *api.Error: the service's own, or Unavailable when
// nobody answered.
func Call[Req, Resp any](ctx context.Context, nc *nats.Conn, subject string, req Req) (Resp, error) {
	var none Resp
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	m, err := request(ctx, subject, req)
	if err != nil {
		return none, err
	}
	answer, err := nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		return none, callError(subject, err)
	}
	return open[Resp](subject, answer)
}

// CallWithin is [Call] for one of several attempts: it waits no longer than
// patience, nor than ctx allows.
func CallWithin[Req, Resp any](ctx context.Context, patience time.Duration, nc *nats.Conn, subject string, req Req) (Resp, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return Call[Req, Resp](ctx, nc, subject, req)
}

// Answer is for subscribers that are no endpoint of a service, such as an edge
// node on its own subject: it answers a request of [Call].
func Answer[Resp any](m *nats.Msg, resp Resp, err error) error {
	if err != nil {
		return m.RespondMsg(errorMsg(m.Reply, err))
	}
	data, err := json.Marshal(resp)
	if err != nil {
		return errors.Join(err, m.RespondMsg(errorMsg(m.Reply, err)))
	}
	err = m.Respond(data)
	if errors.Is(err, nats.ErrMaxPayload) {
		return m.RespondMsg(errorMsg(m.Reply, tooLarge(data)))
	}
	return err
}

// Question decodes the request that [Answer] will answer.
func Question[Req any](m *nats.Msg) (Req, error) { return decode[Req](m.Data) }

// errorMsg is an error as micro writes it: kind and text in headers.
func errorMsg(to string, err error) *nats.Msg {
	m := nats.NewMsg(to)
	m.Header.Set(micro.ErrorCodeHeader, api.KindOf(err).String())
	m.Header.Set(micro.ErrorHeader, peerText(err))
	return m
}

// peerText is never empty and has no line breaks: it travels in a header.
func peerText(err error) string {
	text := strings.Join(strings.Fields(api.PeerText(err)), " ")
	if text == "" {
		return api.KindOf(err).String()
	}
	return text
}

func tooLarge(data []byte) error {
	return api.Errorf(api.TooLarge, "answer", "answer of %d bytes is too large", len(data))
}

func request[Req any](ctx context.Context, subject string, req Req) (*nats.Msg, error) {
	data, err := json.Marshal(req)
	if err != nil {
		return nil, api.Wrap(api.Internal, op(subject), "encode request", err)
	}
	m := nats.NewMsg(subject)
	m.Data = data
	if end, ok := ctx.Deadline(); ok {
		m.Header.Set(hdrPatience, strconv.FormatInt(max(time.Until(end).Milliseconds(), 1), 10))
	}
	return m, nil
}

// open reads an answer: a value, or the error in its headers.
func open[Resp any](subject string, m *nats.Msg) (Resp, error) {
	var resp Resp
	if code := m.Header.Get(micro.ErrorCodeHeader); code != "" {
		return resp, &api.Error{Kind: api.ParseKind(code), Op: op(subject), Text: m.Header.Get(micro.ErrorHeader)}
	}
	if len(m.Data) == 0 {
		return resp, nil
	}
	if err := json.Unmarshal(m.Data, &resp); err != nil {
		return resp, api.Wrap(api.Internal, op(subject), "answer is not understood", err)
	}
	return resp, nil
}

func callError(subject string, err error) error {
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return api.Wrap(api.TooLarge, op(subject), "request is too large", err)
	case errors.Is(err, nats.ErrBadSubject):
		return api.Wrap(api.Internal, op(subject), "bad subject", err)
	case errors.Is(err, nats.ErrNoResponders):
		return api.Wrap(api.Unavailable, op(subject), "service is not there", err)
	}
	return api.Wrap(api.Unavailable, op(subject), "service does not answer", err)
}

// op is what was being done, for logs: "authn.check".
func op(subject string) string { return strings.TrimPrefix(subject, "gw.svc.") }
