// Command sluice runs the gateway: all of it in one process, or single services
// of it against an external NATS.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"sluice/pkg/gateway"
	"sluice/services/jt808"
	"sluice/services/mqttsn"
	"sluice/services/stomp"
)

// version is set by the linker: -X main.version=v1.2.3.
var version = "dev"

// kinds are the protocols this program knows.
func kinds() []gateway.Kind { return []gateway.Kind{stomp.Kind(), mqttsn.Kind(), jt808.Kind()} }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := execute(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// exit carries an exit code through the cli library.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string { return e.err.Error() }
func (e exit) Unwrap() error { return e.err }

// execute is main for tests. Exit codes: 0 well, 1 failed, 2 usage (for decode:
// incomplete).
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &cli.App{
		Name:                 "sluice",
		Usage:                "bring devices into NATS JetStream",
		Version:              version,
		HideVersion:          true,
		Reader:               stdin,
		Writer:               stdout,
		ErrWriter:            stderr,
		EnableBashCompletion: true,
		ExitErrHandler:       func(*cli.Context, error) {}, // errors are printed below
		Commands: []*cli.Command{
			runCommand(), checkConfigCommand(), defaultConfigCommand(), decodeCommand(), tapCommand(),
			{Name: "version", Usage: "print the version", Action: func(c *cli.Context) error {
				_, err := fmt.Fprintln(c.App.Writer, "sluice", version)
				return err
			}},
		},
	}
	app.OnUsageError = usage
	strict(app.Commands)
	err := app.RunContext(ctx, args)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "sluice:", err)
	if e, ok := errors.AsType[exit](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[cli.ExitCoder](err); ok { // the library's, for an unknown command
		return 2
	}
	return 1
}

// usage keeps the library from printing a screen of help to standard output.
func usage(c *cli.Context, err error, _ bool) error {
	return exit{2, fmt.Errorf("%w; see %s --help", err, c.Command.HelpName)}
}

func strict(all []*cli.Command) {
	for _, c := range all {
		c.OnUsageError = usage
		strict(c.Subcommands)
	}
}
