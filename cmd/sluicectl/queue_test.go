package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/services/management"
	"sluice/streams"
)

func (w *world) store(t *testing.T, subj, body string, header ...string) {
	t.Helper()
	m := nats.NewMsg(subj)
	m.Data = []byte(body)
	for i := 0; i < len(header); i += 2 {
		m.Header.Set(header[i], header[i+1])
	}
	_, err := w.js.PublishMsg(t.Context(), m)
	require.NoError(t, err)
}

// do runs a command that must work.
func (w *world) do(t *testing.T, args string) string {
	t.Helper()
	code, out, errs := w.ctl("", strings.Fields(args)...)
	require.Zero(t, code, "%s: %s", args, errs)
	require.Empty(t, errs, args)
	return out
}

func (w *world) fails(t *testing.T, code int, text, args string) {
	t.Helper()
	got, _, errs := w.ctl("", strings.Fields(args)...)
	require.Equal(t, code, got, "%s: %s", args, errs)
	require.Contains(t, errs, text, args)
}

func TestQueueCommands(t *testing.T) {
	w := newWorld(t)
	w.serve(t)
	seven := car("car-7").ClientKey
	other := api.ClientKey{Proto: "mqttsn", Instance: "default", Client: "car-7"}
	require.Equal(t, "GATEWAY  CLIENT  WAITING  QUEUES\n", w.do(t, "queue list"))
	require.Equal(t, "[]\n", w.do(t, "queue list -o json"))
	w.store(t, seven.QueueSubject("q"), "open\x1b[2J", streams.HdrSubject, "iot.door", jetstream.MsgTTLHeader, "3600s")
	w.store(t, seven.QueueSubject("s"), strings.Repeat("x", 100))
	w.store(t, other.QueueSubject("q"), "x")
	require.Equal(t, lines(
		"GATEWAY         CLIENT  WAITING  QUEUES",
		"mqttsn.default  car-7   1        q",
		"stomp.default   car-7   2        q,s"), w.do(t, "queue list"))
	require.NotContains(t, w.do(t, "queue list stomp"), "mqttsn")

	w.fails(t, exitError, "name one: mqttsn.default, stomp.default", "queue show car-7")
	out := w.do(t, "queue show car-7 --gateway stomp")
	require.Regexp(t, `(?m)^1 +q +iot\.door +8 +\d+s +(1h0m0s|59m\d+s) +open\\x1b\[2J$`, out)
	require.Regexp(t, `(?m)^2 +s +- +100 +\d+s +- +x{64}\.\.\.$`, out)
	require.Regexp(t, `x{100}\n$`, w.do(t, "queue show car-7 --gateway stomp --body"))
	require.NotContains(t, w.do(t, "queue show car-7 --gateway stomp --limit 1"), "xxx")
	var got []management.QueueMessage
	require.NoError(t, json.Unmarshal([]byte(w.do(t, "queue show car-7 --gateway stomp -o json")), &got))
	require.Len(t, got, 2)
	require.Equal(t, "open\x1b[2J", string(got[0].Body))

	require.Equal(t, "purged 2\n", w.do(t, "queue purge car-7 --gateway stomp.default"))
	require.JSONEq(t, `{"purged":1}`, w.do(t, "queue purge car-7 -o json"))
	w.fails(t, exitNotFound, "nothing waits", "queue purge car-7")
	w.fails(t, exitNotFound, "nothing waits", "queue show car-7")
	w.fails(t, exitUsage, "wrong number", "queue show")
	w.fails(t, exitUsage, "positive", "queue show car-7 --limit 0")
	w.fails(t, exitUsage, "bad gateway name", "queue list stomp.")
}

func TestQueueShowReadsAllPages(t *testing.T) {
	w := newWorld(t)
	w.serve(t)
	k := car("car-7").ClientKey
	for range clientsPage + 3 {
		w.store(t, k.QueueSubject("q"), "x")
	}
	require.Equal(t, clientsPage+4, strings.Count(w.do(t, "queue show car-7"), "\n"))
	require.Equal(t, clientsPage+2, strings.Count(w.do(t, "queue show car-7 --limit 501"), "\n"))
}

func (w *world) bury(t *testing.T, k api.ClientKey, queue, reason, body string) {
	t.Helper()
	w.store(t, streams.DeadSubject(reason, k.String()), body, streams.HdrReason, reason, streams.HdrQueue, k.QueueSubject(queue), streams.HdrSubject, "iot.door")
}

func TestDeadCommands(t *testing.T) {
	w := newWorld(t)
	w.serve(t)
	seven, eight := car("car-7").ClientKey, car("car-8").ClientKey
	require.Equal(t, lines("SEQ  REASON  GATEWAY  CLIENT  TOPIC  SIZE  AT"), w.do(t, "dead list"))
	w.bury(t, seven, "q", "nack", "one")
	w.bury(t, eight, "q", "no_ack", "two")
	w.bury(t, seven, "gone", "nack", "three")
	w.bury(t, seven, "q", "nack", "four")
	out := w.do(t, "dead list --client car-8")
	require.Regexp(t, `(?m)^2 +no_ack +stomp\.default +car-8 +iot\.door +3 +20\S+Z$`, out)
	require.NotContains(t, out, "car-7")
	require.Equal(t, 3, strings.Count(w.do(t, "dead list --limit 2"), "\n"))
	out = w.do(t, "dead show 2")
	require.Regexp(t, `(?m)^body: +two$`, out)
	require.Regexp(t, `(?m)^Gw-Reason +no_ack$`, out)
	var l management.DeadLetter
	require.NoError(t, json.Unmarshal([]byte(w.do(t, "dead show 2 -o json")), &l))
	require.Equal(t, "two", string(l.Body))

	require.Equal(t, "retried 1\n", w.do(t, "dead retry 2"))
	code, out, errs := w.ctl("", "dead", "retry", "--client", "car-7", "-o", "json")
	require.Equal(t, exitError, code)
	require.Contains(t, errs, `1 letters stay; the first is 3: dead.retry: client "car-7" has no subscription "gone" any more`)
	var r management.Retried
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	require.Equal(t, 2, r.Retried)
	require.Regexp(t, `(?m)^stomp\.default +car-7 +2 +q$`, w.do(t, "queue list"))

	require.Equal(t, "purged 1\n", w.do(t, "dead purge 3"))
	w.bury(t, eight, "q", "nack", "five")
	require.Equal(t, "purged 0\n", w.do(t, "dead purge --client car-7"))
	require.JSONEq(t, `{"purged":1}`, w.do(t, "dead purge --all -o json"))

	w.fails(t, exitNotFound, "no dead letter 3", "dead show 3")
	w.fails(t, exitNotFound, "no dead letter 3", "dead retry 3")
	w.fails(t, exitNotFound, "no such dead letters", "dead retry --client nobody")
	w.fails(t, exitUsage, "no sequence", "dead show three")
	w.fails(t, exitUsage, "which ones?", "dead retry")
	w.fails(t, exitUsage, "which ones?", "dead purge")
	w.fails(t, exitUsage, "not both", "dead retry 1 --client car-7")
	w.fails(t, exitUsage, "bad gateway name", "dead list --gateway stomp.")
	w.fails(t, exitUsage, "no reason", "dead list --reason a.b")
}
