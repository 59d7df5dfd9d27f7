package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"sluice/pkg/wire/stomp"
)

// decoder reads the first frame of b: the frame as something with JSON, and its
// length. io.EOF: nothing but padding is left. errIncomplete: more bytes needed.
type decoder func(c *cli.Context, b []byte) (frame any, n int, err error)

var errIncomplete = errors.New("incomplete: the frame goes on")

// decodeCommand has one subcommand for each protocol, all with the same manners:
// one JSON object a frame; exit 0, or 1 with the reason when the bytes must be
// refused, or 2 when they are incomplete.
func decodeCommand() *cli.Command {
	return &cli.Command{
		Name:  "decode",
		Usage: "print frames given in hex as JSON, one a line",
		Subcommands: []*cli.Command{
			protocolDecoder("stomp", decodeSTOMP, &cli.StringFlag{Name: "version", Value: "1.2", Usage: "negotiated version: 1.0, 1.1 or 1.2"}),
			protocolDecoder("mqttsn", decodeMQTTSN),
			protocolDecoder("jt808", decodeJT808, flags808...),
		},
	}
}

func protocolDecoder(name string, d decoder, flags ...cli.Flag) *cli.Command {
	return &cli.Command{
		Name: name, Usage: "decode " + name + " frames", ArgsUsage: "HEX|-", Flags: flags,
		Action: func(c *cli.Context) error {
			b, err := hexArgument(c)
			if err != nil {
				return err
			}
			return decodeAll(c, d, b)
		},
	}
}

func decodeAll(c *cli.Context, d decoder, b []byte) error {
	out := json.NewEncoder(c.App.Writer)
	out.SetEscapeHTML(false)
	for {
		frame, n, err := d(c, b)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errIncomplete):
			return exit{2, err}
		case err != nil:
			return exit{1, fmt.Errorf("refused: %w", err)}
		}
		if err := out.Encode(frame); err != nil {
			return err
		}
		b = b[n:]
	}
}

// hexArgument takes hex from the arguments or, for "-", from standard input.
// Blanks and colons, as other tools print them, are skipped.
func hexArgument(c *cli.Context) ([]byte, error) {
	text := strings.Join(c.Args().Slice(), "")
	if text == "-" {
		in, err := io.ReadAll(io.LimitReader(c.App.Reader, 64<<20))
		if err != nil {
			return nil, err
		}
		text = string(in)
	}
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\r", "", "\t", "", ":", "").Replace(text))
	if err != nil || text == "" {
		return nil, exit{1, fmt.Errorf("not hex: give the bytes as HEX, or - for standard input")}
	}
	return b, nil
}

func decodeSTOMP(c *cli.Context, b []byte) (any, int, error) {
	v, ok := stomp.ParseVersion(c.String("version"))
	if !ok {
		return nil, 0, fmt.Errorf("unknown version %q", c.String("version"))
	}
	f, n, err := stomp.Decode(b, v, stomp.DefaultLimits())
	if errors.Is(err, stomp.ErrIncomplete) {
		err = errIncomplete
	}
	return f, n, err
}
