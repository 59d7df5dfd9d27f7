package translator

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/streams"
)

// headers is all that a message needs of its frame's.
type headers interface{ Headers() nats.Header }

// message dresses one output. Its id is the raw sequence, so that a repeat is
// known; the first output of a frame carries the sequence as well, for who comes
// later than JetStream remembers ids.
func (p *partition) message(ctx context.Context, r Raw, o Output, i int) (*nats.Msg, error) {
	from := r.msg.Headers()
	subj := from.Get(streams.HdrSubject)
	h := nats.Header{
		streams.HdrProto: {r.Proto}, streams.HdrInstance: {r.Instance}, streams.HdrClient: {r.Client},
		streams.HdrQoS: {"1"}, streams.HdrContentType: {"application/json"},
		streams.HdrRaw: {strconv.Itoa(p.n) + "." + strconv.FormatUint(r.Seq, 10)},
		nats.MsgIdHdr:  {"raw." + strconv.FormatUint(r.Seq, 10) + "." + strconv.Itoa(i)},
	}
	for _, name := range []string{streams.HdrTs, streams.HdrUser, streams.HdrCorrelation} {
		if v := from.Get(name); v != "" {
			h[name] = []string{v}
		}
	}
	if o.Err != nil {
		h[streams.HdrReason] = []string{oneLine(o.Err.Error())}
		h[streams.HdrContentType] = []string{"application/octet-stream"}
		return &nats.Msg{Subject: streams.UntranslatedSubject(subj), Header: h, Data: o.Body}, nil
	}
	if len(o.Object) > 0 {
		name := fmt.Sprintf("%s/%d", r.String(), r.Seq)
		if err := p.keep(ctx, name, o.Object); err != nil {
			return nil, err
		}
		o.Body = bytes.Replace(o.Body, []byte(o.Field), fmt.Appendf(nil, `%s,"object":%q,"size":%d`, o.Field, name, len(o.Object)), 1)
	}
	return &nats.Msg{Subject: subj, Header: h, Data: o.Body}, nil
}

// keep puts data into the object store; the same again replaces it.
func (p *partition) keep(ctx context.Context, name string, data []byte) (err error) {
	if p.media == nil {
		if p.media, err = p.JS.ObjectStore(ctx, streams.Media); err != nil {
			return fmt.Errorf("translator: %s: %w", streams.Media, err)
		}
	}
	if _, err = p.media.Put(ctx, jetstream.ObjectMeta{Name: name}, bytes.NewReader(data)); err != nil {
		return fmt.Errorf("translator: keep %s: %w", name, err)
	}
	return nil
}

// oneLine is text as a header value.
func oneLine(s string) string {
	return string(bytes.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, []byte(s)))
}
