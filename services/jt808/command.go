package jt808

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/jt808"
)

var errTooOld = errors.New("the terminal's edition has no such message")

// commands are those that the terminal has not answered.
type commands struct {
	open  []*command
	media uint32 // of the multimedia message that is coming in packets
}

// command is one message of an application.
type command struct {
	id, serial  uint16 // serial of its first packet
	answer      uint16 // that ends it; 0 = the general response
	seq         uint64 // in the queue
	frames      []jt808.Frame
	correlation string
	delivery    gateway.Delivery
}

// request is a command as applications write it.
type request struct {
	Header struct {
		ID     *uint16 `json:"msg_id"`
		Serial *uint16 `json:"msg_sn"`
	} `json:"header"`
	Body any `json:"body"`
}

// onCommand sends a command of the queue to the terminal. One that cannot be
// written for it is refused.
func (c *conn) onCommand(_ context.Context, d gateway.Delivery) {
	cmd, err := c.command(d)
	if err != nil {
		c.env.Log.Info("command refused", "client", c.phone.Key(), "error", err)
		d.Done(fmt.Errorf("%w: %w", gateway.ErrNack, err))
		return
	}
	c.transmit(cmd)
	if !answered(cmd.id) {
		d.Done(nil)
		return
	}
	c.sent.open = append(c.sent.open, cmd)
}

func (c *conn) command(d gateway.Delivery) (*command, error) {
	in := json.NewDecoder(strings.NewReader(string(d.Msg.Payload)))
	in.UseNumber()
	var r request
	if err := in.Decode(&r); err != nil {
		return nil, fmt.Errorf("not a command: %w", err)
	}
	if r.Header.ID == nil {
		return nil, errors.New("not a command: header.msg_id is missing")
	}
	cmd := &command{id: *r.Header.ID, serial: c.serial, seq: d.Seq, correlation: d.Msg.Correlation, delivery: d}
	if m, known := jt808.Lookup(cmd.id); known {
		if cmd.answer = m.Answer; m.Since > c.edition {
			return nil, fmt.Errorf("%w: message %s is of %s, the terminal of %s", errTooOld, name(cmd.id), m.Since, c.edition)
		}
	}
	body, err := jt808.EncodeValue(nil, cmd.id, c.edition, r.Body, c.options())
	if err != nil {
		return nil, err
	}
	if r.Header.Serial != nil {
		cmd.serial = *r.Header.Serial
	}
	if cmd.frames, err = c.packets(cmd.id, cmd.serial, body); err != nil {
		return nil, err
	}
	if r.Header.Serial == nil {
		c.serial += uint16(len(cmd.frames))
	}
	return cmd, nil
}

// answered tells whether a terminal answers such a message. It does not answer
// our answers.
func answered(id uint16) bool {
	switch id {
	case 0x8001, 0x8003, 0x8004, 0x8100, 0x8800:
		return false
	}
	return true
}

func (c *conn) transmit(cmd *command) {
	for _, f := range cmd.frames {
		if err := c.out.add(f); err != nil {
			c.env.Log.Error("jt808: command cannot be sent", "message", name(cmd.id), "error", err)
		}
	}
}

// onResend repeats a command with its serial numbers (§2.5).
func (c *conn) onResend(d gateway.Delivery) {
	for _, cmd := range c.sent.open {
		if cmd.seq == d.Seq {
			c.transmit(cmd)
		}
	}
}

// onAnswer is the terminal's general response: it ends the command with that
// serial number and id. An application that gave a correlation reads the result.
func (c *conn) onAnswer(ctx context.Context, f jt808.Frame) error {
	if len(f.Body) != 5 {
		c.env.Metrics.FrameError("malformed")
		return nil
	}
	serial, id := binary.BigEndian.Uint16(f.Body), binary.BigEndian.Uint16(f.Body[2:])
	for _, cmd := range c.sent.open {
		last := cmd.serial + uint16(len(cmd.frames)-1)
		if cmd.id != id || serial-cmd.serial > last-cmd.serial {
			continue
		}
		if f.Body[4] == resultOK && cmd.answer != 0 && cmd.id != 0x8302 {
			return nil // its own answer follows
		}
		c.sent.done(cmd, nil)
		if cmd.correlation != "" {
			return c.reportAnswer(ctx, f, cmd)
		}
		return nil
	}
	return nil
}

// reportAnswer has the result of a command stored for its sender. No answer of
// ours follows.
func (c *conn) reportAnswer(ctx context.Context, f jt808.Frame, cmd *command) error {
	wire, err := jt808.Append(nil, f)
	if err != nil {
		return fmt.Errorf("%w: %w", gateway.ErrProtocol, err)
	}
	err = c.client.Report(ctx, gateway.Report{Kind: "0001", Topic: c.topic, Frame: wire, Form: c.form(), Correlation: cmd.correlation})
	if err != nil {
		c.env.Log.Info("the result of a command was not stored", "client", c.phone.Key(), "error", err)
	}
	return nil
}

// answeredBy finds the command that a message answers: by the serial number that
// it carries, or by its id alone where it carries none.
func (s *commands) answeredBy(f jt808.Frame) *command {
	for _, cmd := range s.open {
		if cmd.answer != f.ID || cmd.answer == 0 {
			continue
		}
		switch f.ID {
		case 0x0107, 0x0608, 0x0702, 0x0A00: // without a serial number
			return cmd
		}
		if len(f.Body) >= 2 && binary.BigEndian.Uint16(f.Body) == cmd.serial || f.ID == 0x0201 && len(f.Body) == 28 {
			return cmd
		}
	}
	return nil
}

// done ends a command.
func (s *commands) done(cmd *command, err error) {
	for i, o := range s.open {
		if o == cmd {
			s.open = append(s.open[:i:i], s.open[i+1:]...)
			break
		}
	}
	cmd.delivery.Done(err)
}

// giveUp leaves what was not answered to the session service, which sends it to
// the terminal's next connection.
func (s *commands) giveUp() {
	for _, cmd := range s.open {
		cmd.delivery.Done(gateway.ErrClosed)
	}
	s.open = nil
}

// onMissing sends packets of a long command again that the terminal asks for,
// 0x0005.
func (c *conn) onMissing(f jt808.Frame) {
	if len(f.Body) < 3 {
		c.general(f.Header, resultBad)
		return
	}
	first, rest := binary.BigEndian.Uint16(f.Body), f.Body[3:]
	if len(rest)%2 == 1 {
		rest = rest[1:] // the count is a WORD in 2019
	}
	for _, cmd := range c.sent.open {
		if cmd.serial != first {
			continue
		}
		for ; len(rest) >= 2; rest = rest[2:] {
			if i := int(binary.BigEndian.Uint16(rest)); i >= 1 && i <= len(cmd.frames) {
				if err := c.out.add(cmd.frames[i-1]); err != nil {
					c.env.Log.Error("jt808: packet cannot be sent", "error", err)
				}
			}
		}
	}
	c.general(f.Header, resultOK)
}
