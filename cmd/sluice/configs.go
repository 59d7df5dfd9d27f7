package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"sluice/pkg/config"
)

func checkConfigCommand() *cli.Command {
	return &cli.Command{
		Name:      "check-config",
		Usage:     "tell what a configuration file would run, or all that is wrong with it",
		ArgsUsage: "FILE",
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return exit{2, fmt.Errorf("give one FILE")}
			}
			p, err := loadPlan(c.Args().First())
			if err != nil {
				return err
			}
			return p.describe(c.App.Writer)
		},
	}
}

// describe lists what a plan runs.
func (p *plan) describe(w io.Writer) error {
	o, err := p.streamOptions()
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, i := range p.instances {
		binds := i.conf.Common().Binds()
		if len(binds) == 0 {
			fmt.Fprintf(&b, "%s: no listener is enabled\n", i)
		}
		for _, id := range slices.Sorted(maps.Keys(binds)) {
			fmt.Fprintf(&b, "%s: %s on %s\n", i, id, binds[id])
		}
	}
	fmt.Fprintf(&b, "GW_DATA keeps %s\n", strings.Join(o.Roots, " "))
	if len(o.Commands) > 0 {
		fmt.Fprintf(&b, "GW_COMMANDS keeps %s\n", strings.Join(o.Commands, " "))
	}
	b.WriteString("ok\n")
	_, err = io.WriteString(w, b.String())
	return err
}

func defaultConfigCommand() *cli.Command {
	return &cli.Command{
		Name:  "default-config",
		Usage: "print a configuration file with every key, its default and what it means",
		Action: func(c *cli.Context) error {
			text, err := defaultConfig()
			if err != nil {
				return err
			}
			_, err = io.WriteString(c.App.Writer, text)
			return err
		},
	}
}

// defaultConfig is what runs without a file, written as one.
func defaultConfig() (string, error) {
	p, err := developmentPlan()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("# sluice, all keys with their defaults. Sizes: 8KB; durations in quotes: \"30s\", \"7d\".\n")
	b.WriteString(config.Render(p.settings))
	b.WriteString("# instances: <protocol>.<name> { ... }\ngateway {\n")
	for _, i := range p.instances {
		body := strings.ReplaceAll(strings.TrimRight(config.Render(i.conf), "\n"), "\n", "\n    ")
		fmt.Fprintf(&b, "  %s {\n    %s\n  }\n", i, body)
	}
	b.WriteString("}\n")
	return b.String(), nil
}
