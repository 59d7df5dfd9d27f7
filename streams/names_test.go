package streams

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/subject"
)

func TestCheckRoots(t *testing.T) {
	for _, good := range [][]string{{"iot.>"}, {"iot.>", "jt808.*.up"}, {"a"}, {"a.*", "a.*.b"}, {"gwx.>", "Gw.>"}} {
		require.NoError(t, CheckRoots(good), good)
	}
	for want, roots := range map[string][][]string{
		"needs at least one root": {nil, {}},
		"is not a subject":        {{""}, {"a..b"}, {".a"}, {"a."}, {"a b"}, {"a.>.b"}, {"iot.>", "a\t"}},
		"is reserved":             {{">"}, {"*"}, {"*.a"}, {"gw.>"}, {"gw"}, {"gw.work.>"}, {"$JS"}, {"$JS.API.>"}, {"$KV.>"}, {"$SYS.>"}, {"_INBOX.>"}, {"iot.>", "gw.q.>"}},
		"overlap":                 {{"a.>", "a.b"}, {"a.>", "a.b.>"}, {"a.*.c", "a.b.*"}, {"a", "b", "a"}},
	} {
		for _, r := range roots {
			require.ErrorContains(t, CheckRoots(r), want, "%q", r)
		}
	}
}

func TestMergeRoots(t *testing.T) {
	for _, c := range []struct{ in, want []string }{
		{nil, nil},
		{[]string{"b.>", "a.>"}, []string{"a.>", "b.>"}},
		{[]string{"a.>", "a.b.>"}, []string{"a.>"}},
		{[]string{"a.b.>", "a.>", "a.b.c", "a.>"}, []string{"a.>"}},
		{[]string{"a.*", "a.>"}, []string{"a.>"}},
		{[]string{"a.*", "a.b"}, []string{"a.*"}},
		{[]string{"a.*.>", "a.b.>", "a.b"}, []string{"a.*.>", "a.b"}},
		{[]string{"a", "a.>"}, []string{"a", "a.>"}}, // a.> has at least one more level
		{[]string{"ab.>", "a.>"}, []string{"a.>", "ab.>"}},
	} {
		in := append([]string{}, c.in...)
		require.Equal(t, c.want, MergeRoots(in), "%q", c.in)
		require.Equal(t, append([]string{}, c.in...), in, "the argument stays as it is")
	}
}

// Each subject belongs to one stream at most: JetStream refuses the second.
func TestStreamsDoNotOverlap(t *testing.T) {
	all := streamConfigs(Options{Roots: []string{"iot.>", "jt808.*.up"}})
	for i, a := range all {
		for _, b := range all[:i] {
			require.NotEqual(t, a.Name, b.Name)
			for _, x := range a.Subjects {
				for _, y := range b.Subjects {
					require.False(t, subject.Overlap(x, y), "%s %s and %s %s", a.Name, x, b.Name, y)
				}
			}
		}
	}
}

// What the helpers write lands in the stream that is meant for it, whatever the
// names are, and what asks services is in none.
func TestSubjects(t *testing.T) {
	key := api.ClientKey{Proto: "stomp", Instance: "a.b", Client: "car 7.>*"}
	for subj, stream := range map[string]string{
		WorkSubject("jobs"): Work, WorkSubject("a.b > *"): Work, WorkSubject(""): Work,
		RetainedSubject("iot.a"):                              Retained,
		key.QueueSubject("sub.1"):                             Queue,
		DeadSubject("expired", key.String()):                  Dead,
		EventSubject("stomp", "d", api.EventConnected, "a.b"): Events,
		EdgeSubject("node.1", "dn", key.String()):             "", EdgeSubject("n", "list", ""): "", ServiceSubject("authn", "check"): "",
	} {
		found := ""
		for _, c := range streamConfigs(DefaultOptions()) {
			if subject.Match(c.Subjects[0], subj) {
				found = c.Name
			}
		}
		require.Equal(t, stream, found, subj)
		require.True(t, isFilter(subj), subj)
		require.False(t, strings.ContainsAny(subj, "*> "), subj)
		require.True(t, subject.Reserved(subj), "no device may use it: %s", subj)
	}
	require.Equal(t, "gw.work.jobs", WorkSubject("jobs"))
	require.Equal(t, "work-jobs", WorkConsumer("jobs"))
	require.NotContains(t, WorkConsumer("a.b/c d"), ".")
	require.Equal(t, "gw.dead.expired.stomp.default.car-7", DeadSubject("expired", "stomp.default.car-7"))
	require.Equal(t, "gw.evt.stomp.default.connected.car-7", EventSubject("stomp", "default", "connected", "car-7"))
	require.Equal(t, "gw.edge.n1.kick.stomp.default.car-7", EdgeSubject("n1", "kick", "stomp.default.car-7"))
	require.Equal(t, "gw.edge.n1.list", EdgeSubject("n1", "list", ""))
	require.Equal(t, "gw.svc.authn.check", ServiceSubject("authn", "check"))
}
