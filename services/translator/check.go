package translator

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sluice/pkg/wire/jt808"
)

// check tells what is wrong with a command of a protocol, as far as it can be
// known without its device.
func check(proto string, command []byte) error {
	switch proto {
	case "jt808":
		return check808(command)
	}
	return fmt.Errorf("%s takes no commands", proto)
}

// check808 tries the editions from the newest on: one of them must be able to say
// it. Which one the terminal has, its edge knows.
func check808(command []byte) error {
	d := json.NewDecoder(strings.NewReader(string(command)))
	d.UseNumber()
	var r struct {
		Header struct {
			ID     *uint16 `json:"msg_id"`
			Serial *uint16 `json:"msg_sn"`
		} `json:"header"`
		Body any `json:"body"`
	}
	if err := d.Decode(&r); err != nil {
		return fmt.Errorf("not a command: %w", err)
	}
	if r.Header.ID == nil {
		return errors.New("not a command: header.msg_id is missing")
	}
	m, known := jt808.Lookup(*r.Header.ID)
	if known && !m.Down {
		return fmt.Errorf("message 0x%04X is for terminals to send", m.ID)
	}
	var first error
	for ed := jt808.Edition2019; ed >= jt808.Edition2011; ed-- {
		_, err := jt808.EncodeValue(nil, *r.Header.ID, ed, r.Body, jt808.Options{GBK: true})
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}
