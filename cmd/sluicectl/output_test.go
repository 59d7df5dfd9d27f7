package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

func lines(l ...string) string { return strings.Join(l, "\n") + "\n" }

func TestTables(t *testing.T) {
	w := newWorld(t)
	w.serve(t)
	w.join(t, "n1")
	odd := car("odd\x1b[2J\tid")
	odd.Username = ""
	seven := car("car-7")
	seven.Subscriptions = []api.SubscriptionInfo{{ID: "1", Topic: "a/#", QoS: 1}}
	w.clients = []api.ClientInfo{seven, odd}
	for _, c := range []struct {
		args string
		want string
	}{
		{"gateway list", lines(
			"NAME           STATUS   CONNECTIONS  MAX   NODES  STARTED",
			"stomp.default  running  2            1000  1      2026-01-02T03:04:05Z")},
		{"gateway lookup stomp", lines(
			"name:         stomp.default",
			"status:       running",
			"connections:  2 of 1000",
			"started:      2026-01-02T03:04:05Z",
			"",
			"NODE  STATUS   LISTENER           BIND             CONNECTIONS  MAX   REASON",
			"n1    running  stomp:tcp:default  127.0.0.1:61613  2            1000  -")},
		{"gateway-clients list stomp.default", lines(
			"GATEWAY        CLIENT          USERNAME  NODE  PEER            PROTOCOL   CONNECTED             SUBSCRIPTIONS",
			"stomp.default  car-7           ann       n1    192.0.2.1:4000  STOMP 1.2  2026-01-02T03:04:05Z  1",
			`stomp.default  odd\x1b[2J\tid  -         n1    192.0.2.1:4000  STOMP 1.2  2026-01-02T03:04:05Z  1`)},
		{"gateway-clients lookup stomp car-7", lines(
			"client:       car-7",
			"gateway:      stomp.default",
			"listener:     stomp:tcp:default",
			"node:         n1",
			"username:     ann",
			"peer:         192.0.2.1:4000",
			"protocol:     STOMP 1.2",
			"mountpoint:   iot/",
			"keepalive:    30s",
			"clean start:  true",
			"connected:    2026-01-02T03:04:05Z",
			"received:     3",
			"sent:         0",
			"dropped:      0",
			"waiting:      0 to it, 0 from it",
			"",
			"SUBSCRIPTION  TOPIC  QOS  DURABLE  QUEUE",
			"1             a/#    1    false    false")},
		{"gateway-metrics stomp", lines(
			"NAME                       VALUE",
			"gw_clients                 2",
			`gw_frames_total{dir="in"}  1234567.5`)},
		{"nodes list", lines(
			"NODE  VERSION  SERVICES     STARTED",
			"n1    v1.0.0   authn,stomp  2026-01-02T03:04:05Z")},
		{"users list", lines("SCOPE  USER  SUPERUSER  RULES")},
		{"gateway-banned list", lines("AS  WHO  BY  AT  UNTIL  REASON")},
	} {
		code, out, errs := w.ctl("", strings.Fields(c.args)...)
		require.Zero(t, code, "%s: %s", c.args, errs)
		require.Empty(t, errs, c.args)
		require.Equal(t, c.want, out, c.args)
	}
}

func TestJSON(t *testing.T) {
	w := newWorld(t)
	w.serve(t)
	for verb, want := range map[string]string{
		"gateway list": "[]", "gateway-clients list": "[]", "gateway-banned list": "[]", "users list": "[]", "nodes list": "[]", "gateway-metrics": "{}",
	} {
		code, out, errs := w.ctl("", append(strings.Fields(verb), "-o", "json")...)
		require.Zero(t, code, "%s: %s", verb, errs)
		require.Equal(t, want+"\n", out, verb)
	}
	w.join(t, "n1")
	w.clients = []api.ClientInfo{car("car-7"), car("car-8")}
	w.put(t, streams.Clients, w.clients[0].String(), api.Owner{Node: "n1"})
	decode := func(v any, args ...string) {
		code, out, errs := w.ctl("", append(args, "-o=json")...)
		require.Zero(t, code, errs)
		require.NoError(t, json.Unmarshal([]byte(out), v))
	}
	var all []api.ClientInfo
	decode(&all, "gateway-clients", "list", "stomp")
	require.Equal(t, w.clients, all)
	var one api.ClientInfo
	decode(&one, "gateway-clients", "lookup", "stomp.default", "car-8")
	require.Equal(t, w.clients[1], one)
	var gws []api.Gateway
	decode(&gws, "gateway", "list")
	require.Equal(t, "stomp.default", gws[0].Name)
	require.Equal(t, "n1", gws[0].Nodes[0].Node)
	var m map[string]float64
	decode(&m, "gateway-metrics")
	require.InDelta(t, 2, m["gw_clients"], 0)

	code, out, _ := w.ctl("", "gateway-clients", "kick", "stomp", "car-7", "-o", "json")
	require.Zero(t, code)
	require.JSONEq(t, `{"kicked":[{"proto":"stomp","instance":"default","client":"car-7"}]}`, out)
}

func TestListFollowsTheCursor(t *testing.T) {
	w := newWorld(t)
	w.serve(t)
	w.join(t, "n1")
	for i := range 1203 {
		w.clients = append(w.clients, car(fmt.Sprintf("car-%04d", i)))
	}
	count := func(args ...string) int {
		code, out, errs := w.ctl("", append([]string{"gateway-clients", "list"}, args...)...)
		require.Zero(t, code, errs)
		return strings.Count(out, "\n") - 1
	}
	require.Equal(t, 1203, count())
	require.Equal(t, 1203, count("stomp", "--username", "ann"))
	require.Equal(t, 700, count("stomp", "--limit", "700"))
	require.Equal(t, 1, count("--like=1202"))
	require.Equal(t, 0, count("--username", "bob", "--node", "n1"))
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"car-7": "car-7", "héllo wörld": "héllo wörld", `a"b\c`: `a"b\c`, "\x1b[31m": `\x1b[31m`, "a\nb\"": `a\nb"`, "\xff": `\xff`, "\u202e": `\u202e`,
	} {
		require.Equal(t, want, clean(in), "%q", in)
	}
}

func TestParseUntil(t *testing.T) {
	for in, want := range map[string]time.Time{"": {}, "24h": epoch.Add(24 * time.Hour), "2026-06-01T00:00:00+02:00": time.Date(2026, 5, 31, 22, 0, 0, 0, time.UTC)} {
		got, err := parseUntil(in, epoch)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{"tomorrow", "-1h", "0s", "2020-01-01T00:00:00Z"} {
		_, err := parseUntil(bad, epoch)
		require.Equal(t, exitUsage, codeOf(err), bad)
	}
}
