package gateway

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/streams"
)

// Publish implements [Client].
func (c *client) Publish(_ context.Context, m Message) error {
	msg, err := c.outgoing(m)
	if err != nil {
		c.metrics.Message("in", api.KindOf(err).String())
		return err
	}
	c.inflight.Add(1)
	if m.Retain && !m.Queue {
		err = c.retain(m, msg)
	} else {
		err = c.node.pub.publish(msg, m.Confirm, func(err error) { c.stored(1, m.Confirm, m.Tag, err) })
	}
	if err != nil {
		c.inflight.Add(-1)
		c.metrics.Message("in", api.KindOf(err).String())
		return err
	}
	return nil
}

// maxBatch is what JetStream takes in one atomic batch.
const maxBatch = 1000

// PublishBatch implements [Client]. Topics and work queues lie in two streams,
// and a batch in one: a mixed transaction is two batches, queues first.
func (c *client) PublishBatch(_ context.Context, ms []Message, tag uint64) error {
	groups := map[bool][]*nats.Msg{}
	for _, m := range ms {
		msg, err := c.outgoing(m)
		if err != nil {
			c.metrics.Message("in", api.KindOf(err).String())
			return err
		}
		groups[m.Queue] = append(groups[m.Queue], msg)
	}
	if len(ms) > maxBatch {
		return api.Errorf(api.TooLarge, "publish", "more than %d messages in one transaction", maxBatch)
	}
	var order [][]*nats.Msg
	for _, queue := range []bool{true, false} {
		if g := groups[queue]; len(g) > 0 {
			order = append(order, g)
		}
	}
	c.inflight.Add(int64(len(ms)))
	if len(order) == 0 {
		c.stored(0, true, tag, nil)
		return nil
	}
	if err := c.batches(order, len(ms), tag); err != nil {
		c.inflight.Add(int64(-len(ms)))
		c.metrics.Message("in", api.KindOf(err).String())
		return err
	}
	return nil
}

// batches sends the first batch and, when it is stored, the next.
func (c *client) batches(order [][]*nats.Msg, total int, tag uint64) error {
	return c.node.pub.publishBatch(order[0], func(err error) {
		if err == nil && len(order) > 1 {
			if err = c.batches(order[1:], total, tag); err == nil {
				return
			}
		}
		c.stored(total, true, tag, err)
	})
}

// stored takes the outcome of a publish from the publisher's goroutine to the
// connection.
func (c *client) stored(n int, confirm bool, tag uint64, err error) {
	if !confirm && err != nil { // nobody asked, but a goodbye may: it is told before nothing is in flight
		c.inbox.push(Event{Kind: Acked, Err: err})
	}
	c.inflight.Add(int64(-n))
	result := "ok"
	if err == nil {
		c.recv.Add(uint64(n))
	} else {
		result = api.KindOf(err).String()
	}
	for range n {
		c.metrics.Message("in", result)
	}
	if confirm {
		c.inbox.push(Event{Kind: Acked, Tag: tag, Err: err})
	} else {
		c.inbox.signal() // the window may have opened
	}
}

// outgoing authorises, mounts and dresses a message.
func (c *client) outgoing(m Message) (*nats.Msg, error) {
	if !c.held.Valid() { // paused past the lease: the client may have a newer owner
		c.kick(ErrLeaseLost)
		return nil, api.Errorf(api.Unavailable, "publish", "%w", ErrLeaseLost)
	}
	subj, err := c.publishSubject(m)
	if err != nil {
		return nil, err
	}
	h := make(nats.Header, 6)
	one := make([]string, 0, 10) // all values in one allocation
	set := func(name, value string) {
		one = append(one, value)
		h[name] = one[len(one)-1 : len(one) : len(one)]
	}
	set(streams.HdrProto, c.info.Proto)
	set(streams.HdrInstance, c.info.Instance)
	set(streams.HdrClient, headerText(c.info.Client))
	set(streams.HdrTs, time.Now().UTC().Format(streams.TsFormat))
	if c.info.Username != "" {
		set(streams.HdrUser, headerText(c.info.Username))
	}
	if m.QoS > 0 {
		set(streams.HdrQoS, strconv.Itoa(int(m.QoS)))
	}
	if m.Retain {
		set(streams.HdrRetain, "1")
	}
	if m.ContentType != "" {
		set(streams.HdrContentType, headerText(m.ContentType))
	}
	if len(m.Props) > 0 {
		set(streams.HdrProps, encodeProps(m.Props))
	}
	if m.ID != "" {
		set(nats.MsgIdHdr, c.messageID(m.ID))
	}
	return &nats.Msg{Subject: subj, Header: h, Data: m.Payload}, nil
}

// messageID makes the number that a protocol gives its messages unique.
func (c *client) messageID(id string) string {
	return c.key + "." + strconv.FormatUint(c.info.Epoch, 36) + "." + id
}

func (c *client) publishSubject(m Message) (string, error) {
	if m.Queue {
		name, err := c.queueName(m.Topic)
		if err != nil {
			return "", err
		}
		if !c.acl.allows(actionPublish, c.queueACL(m.Topic)) {
			return "", denied("publish to queue", m.Topic)
		}
		return streams.WorkSubject(name), nil
	}
	if m.Topic == c.lastTopic && m.Topic != "" {
		return c.lastSubject, nil
	}
	subj, err := c.mount.Publish(m.Topic)
	if err != nil {
		return "", api.Errorf(api.Invalid, "publish", "%w", err)
	}
	if len(subj) > maxSubject {
		return "", api.Errorf(api.TooLarge, "publish", "topic is longer than %d bytes", maxSubject)
	}
	if !c.acl.allows(actionPublish, subj) {
		return "", denied("publish to", m.Topic)
	}
	if !slices.ContainsFunc(c.node.Roots, func(root string) bool { return subject.Match(root, subj) }) {
		return "", api.Errorf(api.Invalid, "publish", "no stream keeps topic %q", m.Topic)
	}
	c.lastTopic, c.lastSubject = m.Topic, subj
	return subj, nil
}

func denied(what, topic string) error {
	return api.Errorf(api.Denied, "authorize", "not allowed to %s %s", what, topic)
}

// headerText is text as a header value: what could break a header is encoded.
func headerText(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return subject.Token(s)
		}
	}
	return s
}
