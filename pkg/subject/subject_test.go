package subject_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/subject"
)

func TestTokenKeepsPlainTextAndEscapesTheRest(t *testing.T) {
	for text, token := range map[string]string{
		"": "=", "car-7": "car-7", "a.b": "a=2Eb", "*": "=2A", ">": "=3E", "a=b": "a=3Db", " ": "=20", "é": "=C3=A9", "\x00": "=00",
	} {
		require.Equal(t, token, subject.Token(text))
		back, err := subject.Untoken(token)
		require.NoError(t, err)
		require.Equal(t, text, back)
	}
}

func TestUntokenRefusesWhatTokenNeverWrites(t *testing.T) {
	for _, bad := range []string{"", "a.b", "=4", "=4g", "=41", "a=", "==", "=2e"} {
		_, err := subject.Untoken(bad)
		require.ErrorIs(t, err, subject.ErrToken, "%q", bad)
	}
}

// The pairs are those of nats-server's own MQTT documentation and tests;
// tests/interop checks them against the server itself.
var pairs = map[string]string{
	"a": "a", "a/b": "a.b", "/a": "/.a", "a/": "a./", "/": "/./", "//": "/././", "a//b": "a./.b",
	"a.b": "a//b", ".a": "//a", "a.": "a//", "a/b.c/d": "a.b//c.d", "a//": "a././", "//a": "/./.a", "./a": "//.a", "a/.": "a.//",
}

func TestTopicAndSubjectAreInverse(t *testing.T) {
	for topic, subj := range pairs {
		got, err := subject.FromTopic(topic)
		require.NoError(t, err)
		require.Equal(t, subj, got, "topic %q", topic)
		require.Equal(t, topic, subject.ToTopic(subj), "subject %q", subj)
	}
}

func TestFromTopicRefuses(t *testing.T) {
	for topic, why := range map[string]error{
		"": subject.ErrEmpty, "a b": subject.ErrCharacter, "a\tb": subject.ErrCharacter, "a\x7f": subject.ErrCharacter,
		"a\x00": subject.ErrCharacter, "a/+": subject.ErrWildcard, "#": subject.ErrWildcard, "a/*": subject.ErrWildcard,
		"a/>": subject.ErrWildcard, "a+": subject.ErrWildcard, strings.Repeat("a", 65536): subject.ErrTooLong,
	} {
		_, err := subject.FromTopic(topic)
		require.ErrorIs(t, err, why, "%.20q", topic)
	}
}

func TestFromFilter(t *testing.T) {
	for filter, want := range map[string][]string{
		"a/+": {"a.*"}, "a/*": {"a.*"}, "a/#": {"a.>", "a"}, "a/>": {"a.>", "a"}, "+/b": {"*.b"}, "#": {">"}, "a": {"a"}, "/+": {"/.*"},
	} {
		got, err := subject.FromFilter(filter)
		require.NoError(t, err)
		require.Equal(t, want, got, filter)
	}
	for _, bad := range []string{"", "a/#/b", ">/a", "a+/b", "a/b#", "a b"} {
		_, err := subject.FromFilter(bad)
		require.Error(t, err, "%q", bad)
	}
}

func TestMatchCoversOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b                    string
		match, covers, overlaps bool
	}{
		{"a.b", "a.b", true, true, true},
		{"a.*", "a.b", true, true, true},
		{"a.>", "a.b.c", true, true, true},
		{"a.>", "a", false, false, false},
		{"*.b", "a.*", false, false, true},
		{"a.*", "a.>", false, false, true},
		{"a.>", "a.*", true, true, true},
		{"a.*.c", "a.b", false, false, false},
		{"a", "b", false, false, false},
		{">", "x.y", true, true, true},
	} {
		if !strings.ContainsAny(c.b, "*>") {
			require.Equal(t, c.match, subject.Match(c.a, c.b), "Match(%s, %s)", c.a, c.b)
		}
		require.Equal(t, c.covers, subject.Covers(c.a, c.b), "Covers(%s, %s)", c.a, c.b)
		require.Equal(t, c.overlaps, subject.Overlap(c.a, c.b), "Overlap(%s, %s)", c.a, c.b)
		require.Equal(t, c.overlaps, subject.Overlap(c.b, c.a), "Overlap(%s, %s)", c.b, c.a)
	}
}

func TestReserved(t *testing.T) {
	for _, s := range []string{"gw", "gw.q.1", "$JS.API", "$SYS.>", "_INBOX.x", "*.q", ">", "$KV.GW_USERS.x"} {
		require.True(t, subject.Reserved(s), s)
	}
	for _, s := range []string{"iot.a", "gwx.a", "a.gw", "a.>"} {
		require.False(t, subject.Reserved(s), s)
	}
}

func TestMount(t *testing.T) {
	m, err := subject.NewMount("iot/car-7/")
	require.NoError(t, err)
	s, err := m.Publish("a/b")
	require.NoError(t, err)
	require.Equal(t, "iot.car-7.a.b", s)
	require.Equal(t, "a/b", m.Unmount(s))
	all, err := m.Subscribe("#")
	require.NoError(t, err)
	require.Equal(t, []string{"iot.car-7.>", "iot.car-7"}, all)

	free, err := subject.NewMount("")
	require.NoError(t, err)
	for _, topic := range []string{"gw/q/1", "$JS/API", "_INBOX/x"} {
		_, err = free.Publish(topic)
		require.ErrorIs(t, err, subject.ErrReserved, topic)
	}
	for _, filter := range []string{"#", "+/q/1", "gw/#", "$SYS/#"} {
		_, err = free.Subscribe(filter)
		require.ErrorIs(t, err, subject.ErrReserved, filter)
	}
	_, err = subject.NewMount("iot/+/")
	require.ErrorIs(t, err, subject.ErrWildcard)
}

func TestRoot(t *testing.T) {
	for template, want := range map[string]string{
		"iot/": "iot.>", "iot/${username}/": "iot.>", "a/b/": "a.b.>", "iot/car-": "iot.>", "a.b/": "a//b.>",
	} {
		got, ok := subject.Root(template)
		require.True(t, ok, template)
		require.Equal(t, want, got)
	}
	for _, none := range []string{"", "${username}/", "iot", "gw/", "$x/", "%c/"} {
		_, ok := subject.Root(none)
		require.False(t, ok, none)
	}
}

func TestExpand(t *testing.T) {
	lookup := func(name string) (string, bool) {
		v, ok := map[string]string{"clientid": "c1", "username": "u", "endpoint_name": "ep", "Packet.headers.login": "l"}[name]
		return v, ok
	}
	for template, want := range map[string]string{
		"iot/": "iot/", "iot/%c/": "iot/c1/", "${username}/%e": "u/ep", "${nope}": "${nope}", "${Packet.headers.login}": "l",
		"100%": "100%", "${open": "${open", "%x": "%x",
	} {
		require.Equal(t, want, subject.Expand(template, lookup))
	}
}

func TestTree(t *testing.T) {
	var tree subject.Tree[string]
	filters := []string{"a.b", "a.*", "a.>", "*.b", ">", "a.*.c", "a.b.c"}
	for _, f := range filters {
		tree.Add(f, f)
		tree.Add(f, f)
	}
	require.Equal(t, len(filters), tree.Len())
	for _, subj := range []string{"a.b", "a.b.c", "a", "x.b", "a.x.c", "a.b.c.d"} {
		var got, want []string
		tree.Match(subj, func(f string) { got = append(got, f) })
		for _, f := range filters {
			if subject.Match(f, subj) {
				want = append(want, f)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		require.Equal(t, want, got, subj)
	}
	for _, f := range filters {
		tree.Remove(f, f)
		tree.Remove(f, f)
	}
	require.Zero(t, tree.Len())
	tree.Match("a.b", func(f string) { t.Fatal("left over", f) })
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "a", "a.b", "=", "==", "=2E", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token := subject.Token(s)
		require.NotContains(t, token, ".")
		back, err := subject.Untoken(token)
		require.NoError(t, err)
		require.Equal(t, s, back)
	})
}

func FuzzTopic(f *testing.F) {
	for topic := range pairs {
		f.Add(topic)
	}
	f.Fuzz(func(t *testing.T, topic string) {
		s, err := subject.FromTopic(topic)
		if err != nil {
			return
		}
		require.Equal(t, topic, subject.ToTopic(s))
		for token := range strings.SplitSeq(s, ".") {
			require.NotEmpty(t, token)
		}
	})
}

func BenchmarkPublishSubject(b *testing.B) {
	m, _ := subject.NewMount("iot/")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Publish("fleet/car-7/speed"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPattern(t *testing.T) {
	for template, want := range map[string]string{
		"jt808/${clientid}/${phone}/up": "jt808.*.*.up",
		"tcp/%c/dn":                     "tcp.*.dn",
		"a/dev-${clientid}/b.c":         "a.*.b//c",
		"plain/topic":                   "plain.topic",
		"a/${x}":                        "a.*",
	} {
		got, err := subject.Pattern(template)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", template, got, err)
		}
	}
	for _, bad := range []string{"", "a/+/b", "a/#", "a b/${x}"} {
		if got, err := subject.Pattern(bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func TestExtract(t *testing.T) {
	got, ok := subject.Extract("jt808/${clientid}/x-${phone}.y/dn", "jt808/139/x-0139.y/dn")
	require.True(t, ok)
	require.Equal(t, map[string]string{"clientid": "139", "phone": "0139"}, got)
	got, ok = subject.Extract("tcp/%c/dn", "tcp/a/dn")
	require.True(t, ok)
	require.Equal(t, map[string]string{"clientid": "a"}, got)
	for _, topic := range []string{"jt808/139/x-0139.y/up", "jt808/139/0139.y/dn", "jt808//x-1.y/dn", "jt808/139/dn", "jt808/1/x-.y/dn"} {
		_, ok = subject.Extract("jt808/${clientid}/x-${phone}.y/dn", topic)
		require.False(t, ok, topic)
	}
	_, ok = subject.Extract("${a}/${a}", "1/2")
	require.False(t, ok)
}
