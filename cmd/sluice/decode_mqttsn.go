package main

import (
	"errors"
	"io"

	"github.com/urfave/cli/v2"

	"sluice/pkg/wire/mqttsn"
)

// forwarded is a packet with the forwarder's wrapping that it came in.
type forwarded struct {
	Type  string         `json:"type"`
	By    mqttsn.Forward `json:"by"`
	Inner mqttsn.Packet  `json:"inner"`
}

// decodeMQTTSN reads all of b: a datagram is one message.
func decodeMQTTSN(_ *cli.Context, b []byte) (any, int, error) {
	if len(b) == 0 {
		return nil, 0, io.EOF
	}
	if !mqttsn.IsForwarded(b) {
		p, err := mqttsn.Decode(b)
		return p, len(b), whole(err)
	}
	by, inner, err := mqttsn.Unwrap(b)
	if err != nil {
		return nil, 0, whole(err)
	}
	p, err := mqttsn.Decode(inner)
	return forwarded{mqttsn.Encapsulated.String(), by, p}, len(b), whole(err)
}

// whole has what is missing as the verb's own error.
func whole(err error) error {
	if errors.Is(err, mqttsn.ErrIncomplete) {
		return errIncomplete
	}
	return err
}
