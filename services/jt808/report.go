package jt808

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/jt808"
)

// reports are those that JetStream has not stored yet.
type reports struct {
	of   map[uint64]pending // by tag
	next uint64
}

// pending is how a frame is to be answered once it is stored.
type pending struct {
	header jt808.Header
	bad    bool   // its body cannot be read
	media  uint32 // a multimedia message is whole: its id
	whole  bool
}

// onFrame takes a frame of a terminal that is in, or of a stranger.
func (c *conn) onFrame(ctx context.Context, f jt808.Frame) error {
	c.env.Metrics.FrameIn(nameOf(f.ID))
	if c.client == nil {
		return c.onStranger(ctx, f)
	}
	if f.Phone.Key() != c.phone.Key() { // one connection is one terminal
		c.env.Metrics.FrameError("other_phone")
		return nil
	}
	switch f.ID {
	case 0x0001:
		return c.onAnswer(ctx, f)
	case 0x0002: // heart-beat
		c.general(f.Header, resultOK)
		return nil
	case 0x0003:
		c.general(f.Header, resultOK)
		c.leaving = true
		return nil
	case 0x0004:
		c.send(0x8004, appendTime(nil, time.Now().UTC()))
		return nil
	case 0x0005:
		c.onMissing(f)
		return nil
	case 0x0100:
		c.onRegister(f)
		return nil
	case 0x0102: // once more: it is in
		c.general(f.Header, resultOK)
		return nil
	}
	return c.report(ctx, f)
}

// appendTime appends YYMMDDhhmmss in packed digits.
func appendTime(dst []byte, t time.Time) []byte {
	for _, n := range []int{t.Year() % 100, int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second()} {
		dst = append(dst, byte(n/10<<4|n%10))
	}
	return dst
}

// report has a frame stored as it came. The answer follows when it is.
func (c *conn) report(ctx context.Context, f jt808.Frame) error {
	wire, err := jt808.Append(nil, f)
	if err != nil {
		return fmt.Errorf("%w: %w", gateway.ErrProtocol, err)
	}
	p := pending{header: f.Header}
	switch {
	case f.Sub():
		p.whole = c.gaps.Add(f.Header, time.Now())
		if f.ID == 0x0801 && f.Index == 1 && len(f.Body) >= 4 {
			c.sent.media = binary.BigEndian.Uint32(f.Body)
		}
		p.media = c.sent.media
	case f.Encrypt == 0:
		_, err := jt808.Decode(nil, f.ID, c.edition, f.Body, c.options())
		p.bad, p.whole = err != nil, true
		if f.ID == 0x0801 && len(f.Body) >= 4 {
			p.media = binary.BigEndian.Uint32(f.Body)
		}
	}
	command := c.sent.answeredBy(f)
	r := gateway.Report{
		Kind: fmt.Sprintf("%04x", f.ID), Topic: c.topic, Frame: wire, Form: c.form(), Tag: c.reports.next + 1,
		// A terminal repeats what was not answered with the same number. Some give
		// all their messages the same: then the bytes tell them apart.
		ID: fmt.Sprintf("%04x.%d.%d.%08x", f.ID, f.Serial, f.Index, crc32.ChecksumIEEE(f.Body)),
	}
	if command != nil {
		r.Correlation = command.correlation
	}
	if err := c.client.Report(ctx, r); err != nil {
		if result, ok := resultFor(err); ok {
			c.general(f.Header, result)
		}
		return nil
	}
	c.reports.next++
	c.reports.of[c.reports.next] = p
	if command != nil {
		c.sent.done(command, nil)
	}
	return nil
}

// form tells the translator how to read: the edition, and the text if it is not
// GBK.
func (c *conn) form() string {
	if c.edge.conf.Frame.StringEncoding == "utf8" {
		return c.edition.String() + " utf8"
	}
	return c.edition.String()
}

// onWake takes what the door has.
func (c *conn) onWake(ctx context.Context) error {
	for _, e := range c.client.Take(nil) {
		switch e.Kind {
		case gateway.Acked:
			c.onStored(e)
		case gateway.Delivered:
			c.onCommand(ctx, e.Delivery)
		case gateway.Resend:
			c.onResend(e.Delivery)
		case gateway.Drained: // terminals do not sleep
		}
	}
	return nil
}

// onStored answers a frame that JetStream has stored, or why it has not.
func (c *conn) onStored(e gateway.Event) {
	p, ok := c.reports.of[e.Tag]
	if !ok {
		return
	}
	delete(c.reports.of, e.Tag)
	result, say := resultFor(e.Err)
	if !say {
		return
	}
	if result == resultOK && p.bad {
		result = resultBad
	}
	id := p.header.ID
	switch {
	case id == 0x0801 && p.whole && result == resultOK:
		if p.header.Sub() {
			c.general(p.header, result)
		}
		c.send(0x8800, binary.BigEndian.AppendUint32(nil, p.media))
	case isAnswer(id) && !c.edge.conf.Proto.AnswerAll && result == resultOK:
	default:
		c.general(p.header, result)
	}
}
