package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"sluice/pkg/api"
)

// Exit codes, a contract with scripts.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitUnavailable = 4
)

// jsonVersion is that of the output of -o json.
const jsonVersion = 1

const description = `Flags may stand anywhere on the line; what begins with a dash and is no flag goes after "--".

OUTPUT
   Tables are for people and may change. -o json is a contract, version 1 ("sluicectl version -o json"
   tells it): fields are added, never renamed or removed, without a new version.
      gateway list             array of Gateway      {name, proto, instance, status, node_status: [...], ...}
      gateway lookup           Gateway
      gateway-clients list     array of ClientInfo   {proto, instance, client, node, username, peer, stats, ...}
      gateway-clients lookup   ClientInfo
      gateway-clients kick     {kicked: [{proto, instance, client}]}
      gateway-metrics          object of numbers by name
      gateway-banned list      array of Ban          {as, who, by, reason, at, until}
      gateway-banned add       Ban
      gateway-banned delete    {deleted: true}
      users list               array of User         {scope, user_id, is_superuser, rules}
      users add                User                  {..., created}
      users delete             {deleted: true}
      nodes list               array of Node         {node, lease, services, version, started_at}
      queue list               array of Waiting      {proto, instance, client, waiting, queues}
      queue show               array of Message      {seq, queue, topic, size, at, expires, body}
      queue purge              {purged: n}
      dead list                array of DeadLetter   {seq, reason, proto, instance, client, topic, queue, size, at}
      dead show                DeadLetter            {..., header, body}
      dead retry               {retried: n, failed: [{seq, error}]}
      dead purge               {purged: n}
   Bodies are base64; one shorter than its size is only the beginning.
   Times are RFC 3339 in UTC. Messages go to stderr. There are no colours.

EXIT CODES
   0 ok   1 error   2 usage   3 not found   4 NATS or a service is unavailable
   When nodes do not answer, what is known is printed, the nodes are named on stderr, and the code is 4.`

// failure is an error with its exit code.
type failure struct {
	code int
	err  error
}

func (f failure) Error() string { return f.err.Error() }
func (f failure) Unwrap() error { return f.err }

func usagef(format string, args ...any) error {
	return failure{exitUsage, fmt.Errorf(format, args...)}
}

// run is the program: its arguments, the first being its name, and its exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	app := newApp(stdin, stdout, stderr)
	err := app.RunContext(ctx, reorder(app, args))
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "sluicectl:", clean(err.Error()))
	return codeOf(err)
}

func codeOf(err error) int {
	if f, ok := errors.AsType[failure](err); ok {
		return f.code
	}
	if _, ok := errors.AsType[*api.Error](err); !ok {
		return exitError
	}
	switch api.KindOf(err) {
	case api.Invalid:
		return exitUsage
	case api.NotFound:
		return exitNotFound
	case api.Unavailable, api.Busy:
		return exitUnavailable
	default:
		return exitError
	}
}

func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:                 "sluicectl",
		Usage:                "ask and change a running sluice over NATS",
		UsageText:            "sluicectl [--nats URL] COMMAND VERB [ARGUMENTS] [-o table|json]",
		Description:          description,
		HideVersion:          true,
		Reader:               stdin,
		Writer:               stdout,
		ErrWriter:            stderr,
		EnableBashCompletion: true,
		OnUsageError:         onUsageError,
		ExitErrHandler:       func(*cli.Context, error) {}, // run prints errors
		Flags:                globalFlags(),
		Action:               noun,
		Commands: []*cli.Command{
			gatewayCommand(), clientsCommand(), metricsCommand(), bannedCommand(), usersCommand(), nodesCommand(),
			queueCommand(), deadCommand(), simCommand(),
			versionCommand(), completionCommand(),
		},
	}
	return app
}

func globalFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "nats", Aliases: []string{"s"}, Value: "nats://127.0.0.1:4222", Usage: "`URL` of NATS, several with commas", EnvVars: []string{"SLUICE_NATS"}},
		&cli.StringFlag{Name: "creds", Usage: "`FILE` with NATS credentials (JWT and seed)", EnvVars: []string{"SLUICE_CREDS"}},
		&cli.StringFlag{Name: "nkey", Usage: "`FILE` with an NKey seed"},
		&cli.StringFlag{Name: "tlsca", Usage: "`FILE` with the authorities that sign the server"},
		&cli.StringFlag{Name: "tlscert", Usage: "`FILE` with the client certificate"},
		&cli.StringFlag{Name: "tlskey", Usage: "`FILE` with its key"},
		&cli.DurationFlag{Name: "timeout", Value: 5 * time.Second, Usage: "for NATS, and for each answer"},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: "table", Usage: "table or json"},
	}
}

// leaf is a command that does something. args names its arguments, those in
// brackets may be left out; the message about a wrong number does not repeat what
// was given: it may be a password.
func leaf(name, args, usage string, do func(*ctl) error, flags ...cli.Flag) *cli.Command {
	most := len(strings.Fields(args))
	least := most - strings.Count(args, "[")
	return &cli.Command{
		Name: name, ArgsUsage: args, Usage: usage, Flags: flags, HideHelpCommand: true, OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if n := c.NArg(); n < least || n > most {
				return usagef("wrong number of arguments: want %q; see %s --help", strings.TrimSpace(c.Command.HelpName+" "+args), c.Command.HelpName)
			}
			x, err := newCtl(c)
			if err != nil {
				return err
			}
			defer x.close()
			return do(x)
		},
	}
}

func group(name, usage string, verbs ...*cli.Command) *cli.Command {
	return &cli.Command{Name: name, Usage: usage, Subcommands: verbs, HideHelpCommand: true, OnUsageError: onUsageError, Action: noun}
}

// noun is reached when a word is missing or not known.
func noun(c *cli.Context) error {
	if c.Args().Present() {
		return usagef("no command %q; see %s --help", c.Args().First(), cmdName(c))
	}
	if c.Command.Name == c.App.Name {
		return cli.ShowAppHelp(c)
	}
	var verbs []string
	for _, v := range c.Command.Subcommands {
		verbs = append(verbs, v.Name)
	}
	return usagef("%s what? One of: %s", cmdName(c), strings.Join(verbs, ", "))
}

func cmdName(c *cli.Context) string {
	if c.Command != nil && c.Command.HelpName != "" {
		return c.Command.HelpName
	}
	return c.App.Name
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	return usagef("%w; see %s --help", err, cmdName(c))
}

func versionCommand() *cli.Command {
	return leaf("version", "", "print the version of this program and of its JSON", func(x *ctl) error {
		if x.json {
			return x.encode(map[string]any{"version": version, "json": jsonVersion})
		}
		return x.say("sluicectl " + version)
	})
}

const bashCompletion = `_sluicectl() {
  local cur="${COMP_WORDS[COMP_CWORD]}" words=("${COMP_WORDS[@]:0:$COMP_CWORD}")
  [[ "$cur" == -* ]] && words+=("$cur")
  COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$cur"))
}
complete -o bashdefault -o default -F _sluicectl sluicectl`

func completionCommand() *cli.Command {
	c := leaf("completion", "", "print the completion of bash: source <(sluicectl completion)", func(x *ctl) error {
		return x.say(bashCompletion)
	})
	c.Description = "In zsh: autoload -U bashcompinit && bashcompinit, then the same."
	return c
}

// isTerminal tells a person from a pipe.
func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
