package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// reorder puts flags where the cli library takes them: global ones before the
// command, the verb's own before its arguments. People write them at the end.
func reorder(app *cli.App, args []string) []string {
	if len(args) == 0 || args[len(args)-1] == "--generate-bash-completion" {
		return args // completion needs the line as it is being typed
	}
	var global, path, own, words []string
	commands, flags := app.Commands, []cli.Flag(nil)
	for i := 1; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			words = append(words, args[i:]...)
			break
		}
		if len(a) < 2 || a[0] != '-' {
			cmd := find(commands, a)
			if cmd == nil || len(words) > 0 {
				words = append(words, a)
				continue
			}
			path, commands, flags = append(path, a), cmd.Subcommands, cmd.Flags
			continue
		}
		to, value := &own, takesValue(flags, a)
		if f := takesValue(app.Flags, a); value == absent && f != absent {
			to, value = &global, f
		} else if len(path) == 0 {
			to = &global // unknown, or help: the library says what it thinks of it
		}
		*to = append(*to, a)
		if value == next && i+1 < len(args) {
			i++
			*to = append(*to, args[i])
		}
	}
	return slices.Concat(args[:1], global, path, own, words)
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

type valueAt uint8

const (
	absent valueAt = iota // no such flag
	inside                // --flag=value, or a switch
	next                  // --flag value
)

func takesValue(flags []cli.Flag, arg string) valueAt {
	name, _, assigned := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	for _, f := range flags {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		if _, isSwitch := f.(*cli.BoolFlag); isSwitch || assigned {
			return inside
		}
		return next
	}
	return absent
}
