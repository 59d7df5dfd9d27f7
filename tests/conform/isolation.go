package conform

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/subject"
	"sluice/streams"
)

func mountpointsApart(t *testing.T, s *stage) {
	one, two := s.room(t, s.house, nil), s.room(t, s.house, nil)
	a, b := one.enter(t, 0, "a"), two.enter(t, 0, "a") // the same id: different clients
	subscribe(t, a, "t")
	subscribe(t, b, "t")
	if s.Can.Wildcards {
		subscribe(t, a, "x/#", "+/y")
		subscribe(t, b, "x/#", "+/y")
	}
	publish(t, a, "t", "of one")
	publish(t, b, "t", "of two")
	require.Equal(t, "t", expect(t, a, "of one")[0].Topic, "the mountpoint is not seen")
	expect(t, b, "of two")
	publish(t, a, "x/z", "of one")
	publish(t, a, "z/y", "of one")
	quiet(t, b)
	require.Equal(t, []string{"of one"}, one.payloads(t, one.subject("t")))
	require.Equal(t, []string{"of two"}, two.payloads(t, two.subject("t")))
	if s.Can.ClientID {
		require.Len(t, one.clients(t), 1)
		require.Len(t, two.clients(t), 1)
	}
}

// noEscape tries names that a careless mapping would take out of the mountpoint.
func noEscape(t *testing.T, s *stage) {
	r, other := s.room(t, s.house, nil), s.room(t, s.house, nil)
	victim := other.enter(t, 0, "victim")
	subscribe(t, victim, "t", "cfg/x")
	up := []string{"../" + other.Name, "../../iot/" + other.Name, "/../" + other.Name, "/iot/" + other.Name, "a/../../" + other.Name, "."}
	var topics, filters []string
	for _, u := range up {
		topics = append(topics, u+"/t", strings.ReplaceAll(u, "/", ".")+".t")
		filters = append(filters, u+"/#", u+"/t")
	}
	topics = append(topics, "#", "+", "*", ">", "+/t", "*.t", "$SYS/x", "$JS/API/INFO", "gw/evt/x", "t\r\nPUB iot."+other.Name+".t 1\r\nx", "t x")
	filters = append(filters, "#", "+/#", ">", "*", "+", ">/t", "*/t", "/#", "$JS/#", "$KV/#", "gw/#", "_INBOX/#", "..", "../#", "../+/t", "# 1\r\nSUB iot.> 1")
	for _, topic := range topics {
		d := r.enter(t, 0, "p")
		if err := d.Publish(within(t), Publication{Topic: topic, Payload: "escape"}); err != nil {
			refused(t, err)
		}
		d.Cut()
	}
	for i, filter := range filters {
		d := r.enter(t, 0, "spy")
		if err := d.Subscribe(within(t), Subscription{Filter: filter}); err != nil {
			refused(t, err)
		} else {
			publish(t, victim, "t", numbers("private", i+1)[i])
			expect(t, victim, numbers("private", i+1)[i])
			quiet(t, d)
		}
		d.Cut()
	}
	quiet(t, victim)
	for _, stream := range []string{streams.Data, streams.Work, streams.Queue, streams.Dead} {
		all, err := r.messages(within(t), stream, ">")
		require.NoError(t, err)
		for _, m := range all {
			if m.Header.Get(streams.HdrInstance) == r.Name {
				require.Truef(t, strings.HasPrefix(m.Subject, "iot."+r.Name+"."), "%s: %s", stream, m.Subject)
			}
		}
	}
}

func mountpointOfClient(t *testing.T, s *stage) {
	const mount = "iot/own/${clientid}/"
	r := s.room(t, s.house, keys{"mountpoint": quote(mount)})
	for _, id := range []string{"+", "#", "*", ">", "a/b", "../b", "a/", "/"} {
		_, err := r.dial(t, 0, r.login(id))
		require.Falsef(t, refused(t, err).Later, "client id %q", id)
		r.nothingOf(t, id)
	}
	ids := []string{"a", "b", "a.b", "..", "ä"}
	devices := map[string]Device{}
	for _, id := range ids {
		devices[id] = r.enter(t, 0, id)
		subscribe(t, devices[id], "t")
		if s.Can.Wildcards {
			subscribe(t, devices[id], "x/#")
		}
	}
	for _, id := range ids {
		publish(t, devices[id], "t", "of "+id)
		publish(t, devices[id], "x/y", "also of "+id)
		subj, err := subject.FromTopic("iot/own/" + id + "/t")
		require.NoError(t, err)
		require.Equal(t, []string{"of " + id}, r.payloads(t, subj))
	}
	for _, id := range ids {
		want := []string{"of " + id}
		if s.Can.Wildcards {
			want = append(want, "also of "+id)
		}
		for range want { // two filters: no order between them
			m, err := devices[id].Next(within(t))
			require.NoError(t, err)
			require.NoError(t, m.Ack(within(t)))
			require.Contains(t, want, m.Payload)
		}
		quiet(t, devices[id])
	}
}
