package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/urfave/cli/v2"

	"sluice/pkg/natsx"
	"sluice/pkg/subject"
)

func tapCommand() *cli.Command {
	return &cli.Command{
		Name:      "tap",
		Usage:     "follow subjects, readable by a person",
		ArgsUsage: "FILTER...",
		Description: "A filter with a slash is a topic filter (iot/+/speed, iot/#), otherwise a NATS one (iot.>, gw.evt.>).\n" +
			"Ends with Ctrl-C, or after --count messages.",
		Flags: append(natsFlags(),
			&cli.IntFlag{Name: "count", Aliases: []string{"n"}, Usage: "end after so many messages"},
			&cli.BoolFlag{Name: "headers", Usage: "print all headers"},
		),
		Action: tap,
	}
}

func tap(c *cli.Context) error {
	if c.NArg() == 0 {
		return exit{2, fmt.Errorf("tap needs a filter, such as 'iot/#'")}
	}
	o := natsOptions(c)
	if len(o.URLs) == 0 {
		o.URLs = []string{nats.DefaultURL}
	}
	dial, cancel := context.WithTimeout(c.Context, 5*time.Second)
	defer cancel()
	nc, err := natsx.Connect(dial, o)
	if err != nil {
		return fmt.Errorf("cannot reach NATS at %s; is sluice running? (%w)", strings.Join(o.URLs, ", "), err)
	}
	defer nc.Close()
	in := make(chan *nats.Msg, 1024)
	for _, arg := range c.Args().Slice() {
		filters := []string{arg}
		if strings.Contains(arg, "/") {
			if filters, err = subject.FromFilter(arg); err != nil {
				return exit{2, err}
			}
		}
		for _, f := range filters {
			if _, err := nc.ChanSubscribe(f, in); err != nil {
				return exit{2, fmt.Errorf("filter %q: %w", f, err)}
			}
		}
	}
	if err := nc.FlushWithContext(dial); err != nil {
		return err
	}
	for n := 0; c.Int("count") == 0 || n < c.Int("count"); n++ {
		select {
		case <-c.Context.Done():
			return nil
		case m := <-in:
			if err := printMessage(c.App.Writer, m, c.Bool("headers")); err != nil {
				return err
			}
		}
	}
	return nil
}

// printMessage writes one line: time, subject, from whom, and the payload as
// text where it is text.
func printMessage(w io.Writer, m *nats.Msg, headers bool) error {
	from := ""
	if h := m.Header; h.Get("Gw-Client") != "" {
		from = fmt.Sprintf(" [%s.%s %s]", h.Get("Gw-Proto"), h.Get("Gw-Instance"), h.Get("Gw-Client"))
	}
	if _, err := fmt.Fprintf(w, "%s %s%s %s\n", time.Now().Format("15:04:05.000"), m.Subject, from, readable(m.Data)); err != nil || !headers {
		return err
	}
	names := make([]string, 0, len(m.Header))
	for name := range m.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range m.Header[name] {
			if _, err := fmt.Fprintf(w, "             %s: %s\n", name, readable([]byte(v))); err != nil {
				return err
			}
		}
	}
	return nil
}

// readable is text as it is when nothing in it can upset a terminal, else hex.
func readable(b []byte) string {
	if !utf8.Valid(b) {
		return fmt.Sprintf("hex:%x", b)
	}
	for _, r := range string(b) {
		if !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			return fmt.Sprintf("%q", b)
		}
	}
	return string(b)
}
