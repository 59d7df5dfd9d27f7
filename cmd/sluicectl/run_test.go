package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/streams"
)

func TestExitCodes(t *testing.T) {
	w := newWorld(t)
	w.serve(t)
	w.join(t, "n1")
	w.clients = []api.ClientInfo{car("car-7")}
	w.put(t, streams.Clients, w.clients[0].String(), api.Owner{Node: "n1"})
	w.put(t, streams.Clients, car("car-8").String(), api.Owner{Node: "n1"})
	for _, c := range []struct {
		code   int
		args   string
		stderr string
	}{
		{exitOK, "gateway list", ""},
		{exitOK, "gateway-clients kick stomp.default car-7 --reason test", ""},
		{exitOK, "version", ""},
		{exitUsage, "gateway", "list, lookup"},
		{exitUsage, "nope", "no command"},
		{exitUsage, "gateway nope", "no command"},
		{exitUsage, "gateway lookup", "wrong number"},
		{exitUsage, "gateway list extra", "wrong number"},
		{exitUsage, "gateway list --bogus", "not defined"},
		{exitUsage, "gateway lookup stomp.", "bad gateway name"},
		{exitUsage, "gateway list -o yaml", "neither table nor json"},
		{exitUsage, "gateway-clients list --limit x", "invalid value"},
		{exitUsage, "gateway-clients list --limit -1", "positive"},
		{exitUsage, "gateway-banned add who", "--as must be"},
		{exitUsage, "gateway-banned add --as peerhost host.example", "no IP address"},
		{exitUsage, "gateway-banned add --as clientid x --until yesterday", "neither a time"},
		{exitUsage, "users add ann --scope stomp", "no password"},
		{exitNotFound, "gateway lookup coap", "no gateway coap"},
		{exitNotFound, "gateway-clients list coap", "no gateway coap"},
		{exitNotFound, "gateway-clients lookup stomp nobody", "no client"},
		{exitNotFound, "gateway-clients kick stomp nobody", "no client"},
		{exitNotFound, "gateway-clients kick stomp car-8", "no client"},
		{exitNotFound, "gateway-clients list --node n9", "no node"},
		{exitNotFound, "gateway-banned delete --as clientid nobody", "not banned"},
		{exitNotFound, "users delete nobody", "no user"},
	} {
		code, out, errs := w.ctl("", strings.Fields(c.args)...)
		require.Equal(t, c.code, code, "%s: %s", c.args, errs)
		require.Contains(t, errs, c.stderr, c.args)
		if c.code == exitOK {
			require.Empty(t, errs, c.args)
		} else {
			require.Empty(t, out, c.args)
			require.True(t, strings.HasPrefix(errs, "sluicectl: "), errs)
		}
	}
}

func TestPartialResultsAreSaidToBe(t *testing.T) {
	w := newWorld(t)
	w.serve(t)
	w.join(t, "n1")
	w.lease(t, "n2") // and nobody answers
	w.clients = []api.ClientInfo{car("car-7")}
	for _, args := range []string{"gateway list", "gateway-clients list", "gateway-metrics"} {
		code, out, errs := w.ctl("", strings.Fields(args)...)
		require.Equal(t, exitUnavailable, code, args)
		require.NotEmpty(t, out)
		require.Contains(t, errs, "partial, these nodes did not answer: n2")
	}
	code, out, errs := w.ctl("", "gateway", "lookup", "stomp")
	require.Zero(t, code, errs)
	require.Contains(t, out, "inconsistent")
	require.Contains(t, out, "node does not answer")
	code, _, errs = w.ctl("", "gateway", "lookup", "coap")
	require.Equal(t, exitUnavailable, code)
	require.Contains(t, errs, "n2")
}

func TestUnavailable(t *testing.T) {
	start := time.Now()
	nowhere := &world{url: "nats://ann:" + canary + "@127.0.0.1:1"}
	code, _, errs := nowhere.ctl("", "gateway", "list")
	require.Equal(t, exitUnavailable, code)
	require.Contains(t, errs, "cannot reach NATS at nats://127.0.0.1:1: ")
	require.Contains(t, errs, "is sluice running?")
	require.NotContains(t, errs, canary)
	require.Less(t, time.Since(start), 2*time.Second, "a person waits")

	w := newWorld(t) // NATS, and no services
	for service, args := range map[string]string{"management": "gateway list", "authn": "users list"} {
		code, _, errs = w.ctl("", strings.Fields(args)...)
		require.Equal(t, exitUnavailable, code)
		require.Contains(t, errs, "does a sluice with "+service+" run there?")
	}
	code, _, errs = w.ctl("", "gateway", "list", "--creds", "/nonexistent")
	require.Equal(t, exitError, code)
	require.Contains(t, errs, "/nonexistent")
}

const canary = "c4n4ry-S3cret"

func TestUsersAndBans(t *testing.T) {
	w := newWorld(t)
	w.serve(t)
	do := func(stdin, args string) string {
		t.Helper()
		code, out, errs := w.ctl(stdin, strings.Fields(args)...)
		require.Zero(t, code, "%s: %s", args, errs)
		require.NotContains(t, out+errs, canary)
		return out
	}
	require.Equal(t, "created\n", do(canary+"\r\n", "users add ann --superuser --password-stdin"))
	require.Equal(t, "changed\n", do(canary, "users add ann"))
	require.JSONEq(t, `{"scope":"stomp.default","user_id":"bob","is_superuser":false,"created":true}`, do(canary, "users add bob --scope stomp.default -o json"))
	require.Equal(t, lines(
		"SCOPE          USER  SUPERUSER  RULES",
		"global         ann   false      0",
		"stomp.default  bob   false      0"), do("", "users list"))
	require.NotContains(t, do("", "users list --scope global"), "bob")
	require.Equal(t, "ok\n", do("", "users delete bob --scope=stomp.default"))

	require.Equal(t, "ok\n", do("", "gateway-banned add --as clientid car-7 --until 1h --reason noise"))
	require.Equal(t, "ok\n", do("", "gateway-banned add 192.0.2.1 --as peerhost"))
	out := do("", "gateway-banned list")
	require.Contains(t, out, "noise")
	require.Equal(t, 3, strings.Count(out, "\n"))
	require.JSONEq(t, `{"deleted":true}`, do("", "gateway-banned delete 192.0.2.1 --as peerhost -o json"))

	for _, args := range [][]string{ // a password on the command line is refused, and not repeated
		{"users", "add", "ann", canary}, {"users", "add", "ann", "--password", canary}, {"users", "add", "ann", "--password=" + canary},
	} {
		code, out, errs := w.ctl("", args...)
		require.Equal(t, exitUsage, code)
		require.NotContains(t, out+errs, canary)
	}
	code, _, errs := w.ctl(strings.Repeat("x", maxPassword+1), "users", "add", "ann")
	require.Equal(t, exitUsage, code, errs)
}

func TestReorder(t *testing.T) {
	app := newApp(nil, nil, nil)
	for in, want := range map[string]string{
		"gateway list -o json":                             "-o json gateway list",
		"gateway-clients list stomp --limit 5 -s u":        "-s u gateway-clients list --limit 5 stomp",
		"gateway-clients kick stomp -- -x":                 "gateway-clients kick stomp -- -x",
		"users add ann --superuser -o=json --scope global": "-o=json users add --superuser --scope global ann",
		"users list list":                                  "users list list",
		"gateway list -h":                                  "gateway list -h",
		"-h":                                               "-h",
		"gateway list --bogus x":                           "gateway list --bogus x",
		"users add -":                                      "users add -",
		"--timeout 1s nodes list":                          "--timeout 1s nodes list",
		"gateway-metrics gateway-metrics":                  "gateway-metrics gateway-metrics",
		"nodes list -o":                                    "-o nodes list",
		"gateway -o --generate-bash-completion":            "gateway -o --generate-bash-completion",
	} {
		got := reorder(app, append([]string{"sluicectl"}, strings.Fields(in)...))
		require.Equal(t, "sluicectl "+want, strings.Join(got, " "), in)
	}
	require.Empty(t, reorder(app, nil))
}

func TestHelpAndCompletion(t *testing.T) {
	shell := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := run(append([]string{"sluicectl"}, args...), os.Stdin, &out, &errs)
		require.Empty(t, errs.String())
		return code, out.String()
	}
	t.Setenv("SLUICE_NATS", "nats://u:"+canary+"@h")
	code, out := shell()
	require.Zero(t, code)
	require.Contains(t, out, "EXIT CODES")
	require.NotContains(t, out, canary)
	code, out = shell("gateway-banned", "add", "--help")
	require.Zero(t, code)
	require.Contains(t, out, "--until")
	defer func(before []string) { os.Args = before }(os.Args)
	os.Args = []string{"sluicectl", "gateway-clients", "--generate-bash-completion"} // the library looks there
	code, out = shell(os.Args[1:]...)
	require.Zero(t, code)
	require.Contains(t, out, "kick")
	code, out = shell("completion")
	require.Zero(t, code)
	require.Contains(t, out, "complete -o")
	code, out = shell("version", "-o", "json")
	require.Zero(t, code)
	require.JSONEq(t, `{"version":"dev","json":1}`, out)
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"nats://a:b@h:1,tls://h2": "nats://h:1,tls://h2", "h": "nats://h", "tok@h:2": "nats://h:2", "nats://a:p@ss@h": "nats://h", "": "nats://",
	} {
		require.Equal(t, want, redact(strings.Split(in, ",")))
	}
}
