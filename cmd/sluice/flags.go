package main

import (
	"io"
	"log/slog"

	"github.com/urfave/cli/v2"

	"sluice/pkg/natsx"
)

// natsFlags say how to reach an external NATS; run and tap share them.
func natsFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "nats", Usage: "`URL` of an external NATS server, repeatable", EnvVars: []string{"SLUICE_NATS"}},
		&cli.StringFlag{Name: "creds", Usage: "`FILE` with NATS credentials (JWT and seed)", EnvVars: []string{"SLUICE_CREDS"}},
		&cli.StringFlag{Name: "nkey", Usage: "`FILE` with an NKey seed"},
		&cli.StringFlag{Name: "tlsca", Usage: "`FILE` with the authorities that sign the server"},
		&cli.StringFlag{Name: "tlscert", Usage: "`FILE` with the client certificate"},
		&cli.StringFlag{Name: "tlskey", Usage: "`FILE` with its key"},
	}
}

func natsOptions(c *cli.Context) natsx.Options {
	return natsx.Options{
		URLs: c.StringSlice("nats"), Name: "sluice " + c.Command.Name, Creds: c.String("creds"), NKey: c.String("nkey"),
		TLSCA: c.String("tlsca"), TLSCert: c.String("tlscert"), TLSKey: c.String("tlskey"),
	}
}

// newLogger writes to w; settings are validated already.
func newLogger(w io.Writer, s logSettings) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.Level)) // checked by settings.Validate
	o := &slog.HandlerOptions{Level: level}
	if s.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
