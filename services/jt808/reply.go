package jt808

import (
	"encoding/binary"
	"fmt"

	"sluice/pkg/api"
	"sluice/pkg/wire/jt808"
)

// Results of a general response (§5, 0x8001).
const (
	resultOK      = 0
	resultFailure = 1
	resultBad     = 2
)

// send writes a message of ours in the terminal's own form, with our next serial
// number. Bodies of ours fit into one packet, commands may need several.
func (c *conn) send(id uint16, body []byte) (first uint16) {
	all, err := c.packets(id, c.serial, body)
	if err != nil {
		c.env.Log.Error("jt808: message cannot be sent", "message", name(id), "error", err)
		return 0
	}
	first = c.serial
	c.serial += uint16(len(all))
	for _, f := range all {
		if err := c.out.add(f); err != nil {
			c.env.Log.Error("jt808: message cannot be sent", "message", name(id), "error", err)
		}
	}
	return first
}

// packets are the frames of a message of ours.
func (c *conn) packets(id, serial uint16, body []byte) ([]jt808.Frame, error) {
	all, err := jt808.Packets(jt808.Header{
		ID: id, Phone: c.phone, Versioned: c.edition == jt808.Edition2019, Version: c.version, Serial: serial,
	}, body)
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", name(id), err)
	}
	return all, nil
}

// general answers a frame by 0x8001.
func (c *conn) general(h jt808.Header, result byte) {
	body := binary.BigEndian.AppendUint16(nil, h.Serial)
	body = binary.BigEndian.AppendUint16(body, h.ID)
	c.send(0x8001, append(body, result))
}

// registered answers a registration by 0x8100.
func (c *conn) registered(h jt808.Header, result byte, code string) {
	body := append(binary.BigEndian.AppendUint16(nil, h.Serial), result)
	if result == resultOK {
		body = append(body, code...)
	}
	c.send(0x8100, body)
}

// askFor asks for packets that did not come, by 0x8003. The count is a byte
// before 2019.
func (c *conn) askFor(m jt808.Missing) {
	body := binary.BigEndian.AppendUint16(nil, m.First)
	if c.edition == jt808.Edition2019 {
		body = binary.BigEndian.AppendUint16(body, uint16(len(m.Indexes)))
	} else {
		body = append(body, byte(len(m.Indexes)))
	}
	for _, i := range m.Indexes {
		body = binary.BigEndian.AppendUint16(body, i)
	}
	c.send(0x8003, body)
}

// resultFor is the general response for what became of a report: ok is false
// when none is to be sent, so that the terminal sends its message again.
func resultFor(err error) (result byte, ok bool) {
	switch {
	case err == nil:
		return resultOK, true
	case api.KindOf(err) == api.Unavailable, api.KindOf(err) == api.Busy:
		return 0, false
	}
	return resultFailure, true
}

// isAnswer tells messages that answer one of ours: they get no general response,
// unless the configuration says so (§3).
func isAnswer(id uint16) bool {
	switch id {
	case 0x0001, 0x0104, 0x0107, 0x0201, 0x0500, 0x0608, 0x0700, 0x0802, 0x0805:
		return true
	}
	return false
}
