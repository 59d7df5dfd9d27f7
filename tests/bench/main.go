// Command bench loads a STOMP server from outside and tells what a message costs
// it: throughput, latency, CPU time and memory of the server's processes from
// /proc. It knows nothing of sluice, so that other servers can be measured the
// same way; run.sh does so in turn.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// options are common to all scenarios.
type options struct {
	addr, login, passcode, host string
	dest                        string // prefix of destinations
	natsURL                     string
	persistent                  bool
	pids                        []string
	clients, window, size, rate int
	first                       int // number of the first MQTT-SN client
	seconds                     time.Duration
}

// result is one measurement, and one line of JSON.
type result struct {
	Load      string  `json:"load"`           // row of the table
	Server    string  `json:"server"`         // who was measured
	N         int64   `json:"n"`              // messages, deliveries or connections
	Lost      int64   `json:"lost,omitempty"` // deliveries that did not come
	PerSec    float64 `json:"per_sec,omitempty"`
	CPU       float64 `json:"cpu_us,omitempty"`      // of the server, µs each
	Generator float64 `json:"load_cpu_us,omitempty"` // of this program, µs each
	Others    float64 `json:"others_pct,omitempty"`  // of the machine's CPU time, used by neither
	P50       float64 `json:"p50_ms,omitempty"`
	P99       float64 `json:"p99_ms,omitempty"`
	P999      float64 `json:"p999_ms,omitempty"`
	RSS       float64 `json:"rss_kb,omitempty"` // growth of the server, KB each
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	var o options
	var r result
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.addr, "addr", "127.0.0.1:61613", "of the server")
	pids := f.String("pid", "", "of the server, comma separated; their children count too")
	f.StringVar(&o.login, "login", "", "login")
	f.StringVar(&o.passcode, "passcode", "", "passcode")
	f.StringVar(&o.host, "host", "/", "host header")
	f.StringVar(&o.dest, "dest", "/topic/bench.", "prefix of destinations")
	f.BoolVar(&o.persistent, "persistent", false, "send persistent:true")
	scenario := f.String("scenario", "send", "send, fanout, latency, idle; MQTT-SN: sn-qos0, sn-qos1, sn-fanout, sn-drain, sn-idle; session service: sleepers, awaken")
	f.StringVar(&o.natsURL, "nats", "", "URL of the NATS server, for sleepers and awaken")
	f.IntVar(&o.clients, "clients", 10, "senders, receivers or idle clients")
	f.IntVar(&o.first, "first", 0, "number of the first client, for several programs at once (MQTT-SN)")
	f.IntVar(&o.window, "window", 32, "receipts that a client waits for at a time")
	f.IntVar(&o.size, "size", 128, "bytes of a body, at least 16")
	f.IntVar(&o.rate, "rate", 2000, "latency: messages a second")
	seconds := f.Float64("seconds", 4, "how long")
	f.StringVar(&r.Load, "load", "", "name of the load in the table")
	f.StringVar(&r.Server, "server", "", "name of the server in the table")
	asJSON := f.Bool("json", false, "one line of JSON instead of text")
	lines := f.String("table", "", "measure nothing: make a Markdown table of a `FILE` of such lines")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *lines != "" {
		return table(*lines, out)
	}
	o.pids, o.seconds = strings.Split(*pids, ","), time.Duration(*seconds*float64(time.Second))
	if o.clients < 1 || o.window < 1 || o.size < stampSize || o.rate < 1 {
		return errors.New("-clients, -window and -rate must be positive, -size at least 16")
	}
	scenarios := map[string]func(options) (result, error){"send": send, "fanout": fanout, "latency": latency, "idle": idle,
		"sn-qos0": publishSN(0), "sn-qos1": publishSN(1), "sn-fanout": fanoutSN, "sn-drain": drainSN, "sn-idle": idleSN,
		"sleepers": sleepers, "awaken": awaken}
	measure, known := scenarios[*scenario]
	if !known {
		return fmt.Errorf("unknown scenario %q, known are %v", *scenario, slices.Sorted(maps.Keys(scenarios)))
	}
	m, err := measure(o)
	if err != nil {
		return fmt.Errorf("%s: %w", *scenario, err)
	}
	m.Load, m.Server = r.Load, r.Server
	if m.Load == "" {
		m.Load = *scenario
	}
	if *asJSON {
		return json.NewEncoder(out).Encode(m)
	}
	_, err = fmt.Fprintf(out, "%s: %d, %d lost, %.0f/s, server %.1f µs each, load %.1f µs each, others %.0f %%, p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms, RSS %.1f KB each\n",
		m.Load, m.N, m.Lost, m.PerSec, m.CPU, m.Generator, m.Others, m.P50, m.P99, m.P999, m.RSS)
	return err
}
