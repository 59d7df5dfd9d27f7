package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// banner tells a newcomer where things are and what to try.
func (x *process) banner(w io.Writer, took time.Duration) error {
	var b strings.Builder
	fmt.Fprintf(&b, "sluice %s, node %s, ready in %s\n\n", version, x.Node, took.Round(time.Millisecond))
	row := func(what, where, try string) { fmt.Fprintf(&b, "  %-18s %-22s %s\n", what, where, try) }
	row("LISTENER", "ADDRESS", "TRY")
	stomp := ""
	if x.node != nil {
		for _, st := range x.node.Status() {
			for _, l := range st.Listeners {
				row(st.Proto+"."+st.Instance+" "+l.Type, l.Bind, "")
				if st.Proto == "stomp" && l.Type == "tcp" {
					stomp = l.Bind
				}
			}
		}
	}
	if x.server != nil {
		row("nats", strings.TrimPrefix(x.server.ClientURL(), "nats://"), "sluice tap 'iot/#'")
		if a := x.server.MQTTAddr(); a != "" {
			row("mqtt (nats-server)", a, "mosquitto_sub -V mqttv311 -t 'iot/#'")
		}
	} else {
		row("nats (external)", redacted(x.nats.URLs), "")
	}
	if x.HTTP.Bind != "" {
		row("management", x.HTTP.Bind, "curl http://"+x.HTTP.Bind+"/metrics")
	}
	if stomp != "" && x.file == "" { // with a file, strangers may not be welcome
		host, port, _ := strings.Cut(stomp, ":")
		fmt.Fprintf(&b, trySTOMP, host, port)
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}

func redacted(urls []string) string {
	if len(urls) == 0 {
		return ""
	}
	u := urls[0]
	if _, host, ok := strings.Cut(u, "@"); ok {
		u = host
	}
	return strings.TrimPrefix(u, "nats://")
}

// trySTOMP needs nothing but bash.
const trySTOMP = `
Send a message as a STOMP device (bash):
  exec 3<>/dev/tcp/%s/%s; printf 'CONNECT\naccept-version:1.2\nhost:x\n\n\0SEND\ndestination:hello/world\nreceipt:1\n\nhi\0' >&3; timeout 1 cat <&3 | tr '\0' '\n'
`
