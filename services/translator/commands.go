package translator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/subject"
	"sluice/streams"
)

// Downlink is where applications publish commands for the devices of an instance.
type Downlink struct {
	Proto, Instance string
	Template        string // of topics: jt808/${clientid}/${phone}/dn
}

// commands reads GW_COMMANDS and puts what is right into the queues of devices.
// Whoever works for partition 0 does so: one at a time, so that the commands for a
// device keep their order.
type commands struct {
	*Service
	seq uint64
}

// commandsKey is where GW_PARTITIONS has the last sequence that is done.
const commandsKey = leasePrefix + "commands"

// run works until ctx ends; after a failure it begins again where it was.
func (c *commands) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := c.read(ctx)
		if ctx.Err() == nil {
			c.Log.Warn("translator: commands wait", "error", err)
			pause(ctx, againAfter)
		}
	}
}

func (c *commands) read(ctx context.Context) error {
	e, err := c.positions.Get(ctx, commandsKey)
	if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		return fmt.Errorf("translator: position of commands: %w", err)
	}
	if err == nil {
		if c.seq, err = strconv.ParseUint(string(e.Value()), 10, 64); err != nil {
			return fmt.Errorf("translator: position of commands: %w", err)
		}
	}
	cons, err := c.JS.OrderedConsumer(ctx, streams.Commands, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: c.seq + 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("translator: read %s: %w", streams.Commands, err)
	}
	it, err := cons.Messages(jetstream.PullMaxMessages(64))
	if err != nil {
		return fmt.Errorf("translator: read %s: %w", streams.Commands, err)
	}
	defer it.Stop()
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("translator: read %s: %w", streams.Commands, err)
		}
		if err := c.take(ctx, m); err != nil {
			return err
		}
	}
}

// take enqueues one command, or tells its sender what is wrong. The position is
// written at once: commands are few, and one that was queued twice long after
// would be obeyed twice.
func (c *commands) take(ctx context.Context, m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("translator: %w", err)
	}
	seq := meta.Sequence.Stream
	cmd, err := c.command(m, seq)
	if err == nil {
		_, err = c.JS.PublishMsg(ctx, cmd)
	}
	var refused *jetstream.APIError
	switch {
	case err == nil:
		c.Metrics.Command("queued")
	case errors.As(err, &refused) && refused.ErrorCode == codeFull:
		c.refuse(m, api.Errorf(api.Busy, "command", "the queue of the device is full"))
	case api.KindOf(err) == api.Invalid:
		c.refuse(m, err)
	default:
		return fmt.Errorf("translator: queue a command: %w", err)
	}
	c.seq = seq
	if _, err := c.positions.Put(ctx, commandsKey, strconv.AppendUint(nil, seq, 10)); err != nil {
		return fmt.Errorf("translator: position of commands: %w", err)
	}
	return nil
}

// codeFull is JetStream's: maximum messages per subject exceeded.
const codeFull = 10077

// command is the message for the device's queue. An error of kind Invalid is the
// sender's.
func (c *commands) command(m jetstream.Msg, seq uint64) (*nats.Msg, error) {
	key, err := c.device(subject.ToTopic(m.Subject()))
	if err != nil {
		return nil, err
	}
	if err := check(key.Proto, m.Data()); err != nil {
		return nil, api.Errorf(api.Invalid, "command", "%w", err)
	}
	h := nats.Header{
		streams.HdrSubject: {m.Subject()}, nats.MsgIdHdr: {"cmd." + strconv.FormatUint(seq, 10)},
		streams.HdrContentType: {"application/json"}, streams.HdrResponse: {responseSubject(m)},
	}
	if id := correlation(m); id != "" {
		h[streams.HdrCorrelation] = []string{id}
	}
	if ttl := m.Headers().Get(jetstream.MsgTTLHeader); ttl != "" {
		h[jetstream.MsgTTLHeader] = []string{ttl}
	}
	return &nats.Msg{Subject: key.QueueSubject(api.MainQueue), Header: h, Data: m.Data()}, nil
}

// device is whom a topic of commands belongs to.
func (c *commands) device(topic string) (key api.ClientKey, err error) {
	for _, d := range c.Downlinks {
		values, ok := subject.Extract(d.Template, topic)
		if !ok {
			continue
		}
		key = api.ClientKey{Proto: d.Proto, Instance: d.Instance, Client: values["clientid"]}
		if key.Client == "" {
			key.Client = strings.TrimLeft(values["phone"], "0")
		}
		if key.Client != "" {
			return key, nil
		}
	}
	return key, api.Errorf(api.Invalid, "command", "topic %q names no device", topic)
}

// responseSubject is where the sender of a command wants to hear of it.
func responseSubject(m jetstream.Msg) string {
	if to := m.Headers().Get(streams.HdrResponse); to != "" && !subject.Reserved(to) {
		return to
	}
	return m.Subject() + ".resp"
}

// correlation is the sender's word for a command, in a header or in its JSON.
func correlation(m jetstream.Msg) string {
	if id := m.Headers().Get(streams.HdrCorrelation); id != "" {
		return id
	}
	var body struct {
		ID string `json:"correlation_id"`
	}
	if json.Unmarshal(m.Data(), &body) != nil {
		return ""
	}
	return oneLine(body.ID)
}

// refuse tells the sender what is wrong with a command.
func (c *commands) refuse(m jetstream.Msg, why error) {
	body, err := json.Marshal(struct {
		Error       string `json:"error"`
		Correlation string `json:"correlation_id,omitempty"`
	}{api.PeerText(why), correlation(m)})
	if err == nil {
		err = c.NC.Publish(responseSubject(m), body)
	}
	c.Metrics.Command("refused")
	c.Log.Info("translator: command refused", "subject", m.Subject(), "reason", why, "answer", err)
}
