// Command bench loads a STOMP server from outside and tells what a message costs
// it: throughput, receipt latency and CPU time of the server processes from
// /proc. It knows nothing of sluice, so that other servers can be measured the
// same way; run.sh does both in turn.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// options are common to all scenarios.
type options struct {
	addr, login, passcode, host string
	dest                        string // prefix of destinations
	persistent                  bool
	pids                        []string
	clients, window, size, rate int
	seconds                     time.Duration
}

// result is one line of JSON.
type result struct {
	Scenario string  `json:"scenario"`
	N        int64   `json:"n"`                 // messages, deliveries or connections
	PerSec   float64 `json:"per_sec,omitempty"` // of these
	CPU      float64 `json:"cpu_us,omitempty"`  // of the server, µs each
	P50      float64 `json:"p50_ms,omitempty"`
	P99      float64 `json:"p99_ms,omitempty"`
	RSS      float64 `json:"rss_kb,omitempty"` // growth of the server, KB each
}

func main() {
	var o options
	var pids, scenario string
	flag.StringVar(&scenario, "scenario", "send", "send, fanout, latency or idle")
	flag.StringVar(&o.addr, "addr", "127.0.0.1:61613", "of the server")
	flag.StringVar(&pids, "pid", "", "of the server, comma separated")
	flag.StringVar(&o.login, "login", "", "login")
	flag.StringVar(&o.passcode, "passcode", "", "passcode")
	flag.StringVar(&o.host, "host", "/", "host header")
	flag.StringVar(&o.dest, "dest", "/topic/bench.", "prefix of destinations")
	flag.BoolVar(&o.persistent, "persistent", false, "send persistent:true")
	flag.IntVar(&o.clients, "clients", 10, "senders, receivers or idle clients")
	flag.IntVar(&o.window, "window", 32, "receipts that a client waits for at a time")
	flag.IntVar(&o.size, "size", 128, "bytes of a body")
	flag.IntVar(&o.rate, "rate", 2000, "latency: messages a second")
	flag.DurationVar(&o.seconds, "for", 5*time.Second, "how long")
	flag.Parse()
	o.pids = strings.Split(pids, ",")
	run, known := map[string]func(options) (result, error){
		"send": send, "fanout": fanout, "latency": latency, "idle": idle,
	}[scenario]
	if !known {
		fmt.Fprintln(os.Stderr, "bench: unknown scenario", scenario)
		os.Exit(2)
	}
	r, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	r.Scenario = scenario
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		os.Exit(1)
	}
}
