package gateway

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/streams"
)

// Topical is the configuration of a message protocol: its devices name no
// topics, so the configuration does, by templates. They are taken as they are
// written, without the mountpoint, as users of such gateways know them.
type Topical interface {
	// Topics are the templates of what comes from devices, and of what goes to them.
	Topics() (up, down []string)
}

// Report is a frame of a message protocol on its way to the translator.
type Report struct {
	Kind  string // what it is, one token: the message id of JT/T 808, "0200"
	Topic string // where it is published once it is translated: see Client.Topic
	Frame []byte // as the device sent it; kept until stored: the caller must not reuse it
	Form  string // words for the translator on how the frame is to be read
	// ID is set when the protocol numbers its frames: makes repeats single, also
	// those over another connection, which begin where an answer was lost.
	ID string
	// Correlation is that of the command which this frame answers.
	Correlation string
	Tag         uint64 // of the Acked event that follows
}

// Report implements [Client].
func (c *client) Report(_ context.Context, r Report) error {
	msg, err := c.raw(r)
	if err != nil {
		c.metrics.Message("in", api.KindOf(err).String())
		return err
	}
	c.inflight.Add(1)
	err = c.node.pub.publish(msg, true, func(err error) { c.stored(1, true, r.Tag, err) })
	if err != nil {
		c.inflight.Add(-1)
		c.metrics.Message("in", api.KindOf(err).String())
	}
	return err
}

// raw dresses a frame. What the translator cannot know goes with it: who sent it
// when, and where it is to go.
func (c *client) raw(r Report) (*nats.Msg, error) {
	if !c.held.Valid() {
		c.kick(ErrLeaseLost)
		return nil, api.Errorf(api.Unavailable, "report", "%w", ErrLeaseLost)
	}
	subj, err := c.publishSubject(Message{Topic: r.Topic})
	if err != nil {
		return nil, err
	}
	h := make(nats.Header, 5)
	h[streams.HdrSubject] = []string{subj}
	h[streams.HdrTs] = []string{time.Now().UTC().Format(streams.TsFormat)}
	if c.info.Username != "" {
		h[streams.HdrUser] = []string{headerText(c.info.Username)}
	}
	if r.Correlation != "" {
		h[streams.HdrCorrelation] = []string{headerText(r.Correlation)}
	}
	if r.Form != "" {
		h[streams.HdrForm] = []string{headerText(r.Form)}
	}
	if r.ID != "" {
		h[nats.MsgIdHdr] = []string{c.key + ".r." + r.ID}
	}
	return &nats.Msg{Subject: streams.RawSubject(c.info.ClientKey, r.Kind), Header: h, Data: r.Frame}, nil
}

// Topic implements [Client].
func (c *client) Topic(template string, own func(name string) (string, bool)) (string, error) {
	return fill(template, func(name string) (string, bool) {
		if own != nil {
			if v, ok := own(name); ok {
				return v, true
			}
		}
		return c.lookup(name)
	})
}

// fill fills a template in. A value that would add levels or wildcards is
// refused: it could reach into another client's topics.
func fill(template string, lookup func(name string) (string, bool)) (string, error) {
	bad := ""
	topic := subject.Expand(template, func(name string) (string, bool) {
		v, ok := lookup(name)
		if ok && (v == "" || strings.ContainsAny(v, "/+#*>")) {
			bad = name
		}
		return v, ok
	})
	if bad != "" {
		return "", api.Errorf(api.Denied, "connect", "%s is empty or has characters that a topic cannot take", bad)
	}
	return topic, nil
}
