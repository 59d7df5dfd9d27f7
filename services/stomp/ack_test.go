package stomp

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/gateway"
	"sluice/pkg/gateway/gatewaytest"
	"sluice/pkg/wire/stomp"
)

// answers writes an ACK or NACK for a MESSAGE by the rule of the version.
func (r *rig) answers(command string, m stomp.Frame, headers ...string) {
	r.Helper()
	switch r.v {
	case stomp.V12:
		headers = append(headers, "id", m.Get("ack"))
	case stomp.V11:
		headers = append(headers, "message-id", m.Get("message-id"), "subscription", m.Get("subscription"))
	default:
		headers = append(headers, "message-id", m.Get("message-id"))
	}
	r.send(command, headers...)
}

// deliver hands n messages to subscription sub and reads them.
func (r *rig) deliver(sub string, n int) (ms []stomp.Frame, os []*gatewaytest.Outcome) {
	r.Helper()
	for i := range n {
		os = append(os, r.client().Deliver(sub, "a", gatewaytest.Text(fmt.Sprint(i))))
		ms = append(ms, r.next())
	}
	return ms, os
}

func TestAckClientIsCumulative(t *testing.T) {
	for _, version := range []string{"1.0", "1.1", "1.2"} {
		dialogue(t, func(r *rig) {
			r.connect(version)
			r.subscribe("id", "s", "destination", "a", "ack", "client")
			r.subscribe("id", "other", "destination", "a", "ack", "client")
			_, others := r.deliver("other", 1)
			ms, os := r.deliver("s", 4)
			r.answers(stomp.CmdAck, ms[2], "receipt", "k")
			r.receipt("k")
			for _, o := range os[:3] {
				outcome(t, o, 1, nil)
			}
			outcome(t, os[3], 0, nil)
			outcome(t, others[0], 0, nil)
			r.answers(stomp.CmdAck, ms[0], "receipt", "again")
			require.Equal(r, "again", r.refused("no such message").Get("receipt-id"))
			outcome(t, os[3], 1, gateway.ErrClosed)
			outcome(t, others[0], 1, gateway.ErrClosed)
		})
	}
}

func TestAckIndividual(t *testing.T) {
	for _, version := range []string{"1.1", "1.2"} {
		dialogue(t, func(r *rig) {
			r.connect(version)
			r.subscribe("id", "a-b:c", "destination", "a", "ack", "client-individual")
			ms, os := r.deliver("a-b:c", 3)
			r.answers(stomp.CmdAck, ms[1])
			r.answers(stomp.CmdNack, ms[2], "receipt", "k")
			r.receipt("k")
			outcome(t, os[0], 0, nil)
			outcome(t, os[1], 1, nil)
			outcome(t, os[2], 1, gateway.ErrNack)
			r.answers(stomp.CmdAck, ms[0], "receipt", "k")
			r.receipt("k")
			outcome(t, os[0], 1, nil)
		})
	}
}

func TestNackClientCoversEarlier(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.subscribe("id", "s", "destination", "a", "ack", "client")
		ms, os := r.deliver("s", 3)
		r.answers(stomp.CmdNack, ms[1], "receipt", "k")
		r.receipt("k")
		outcome(t, os[0], 1, gateway.ErrNack)
		outcome(t, os[1], 1, gateway.ErrNack)
		outcome(t, os[2], 0, nil)
	})
}

func TestAckUnknown(t *testing.T) {
	for _, headers := range [][]string{
		{"id", "1-s"}, {"id", ""}, {}, {"id", "1"}, {"id", "2-s"}, {"id", "01-s"}, {"id", "-s"}, {"id", "1-t"}, {"message-id", "t1", "subscription", "s"},
	} {
		for _, command := range []string{stomp.CmdAck, stomp.CmdNack} {
			dialogue(t, func(r *rig) {
				r.connect("1.2")
				r.subscribe("id", "s", "destination", "a") // auto: nothing to answer
				_, os := r.deliver("s", 1)
				outcome(t, os[0], 1, nil)
				r.send(command, append(headers, "receipt", "k")...)
				require.Equal(r, "k", r.refused(command).Get("receipt-id"))
			})
		}
	}
	for version, headers := range map[string][]string{"1.1": {"message-id", "t1"}, "1.0": {"id", "1"}} {
		dialogue(t, func(r *rig) {
			r.connect(version)
			r.subscribe("id", "s", "destination", "a", "ack", "client")
			r.deliver("s", 1)
			r.send(stomp.CmdAck, headers...)
			r.refused("needs a header")
		})
	}
}

func TestNackIsNotIn10(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.0")
		r.subscribe("id", "s", "destination", "a", "ack", "client")
		ms, _ := r.deliver("s", 1)
		r.answers(stomp.CmdNack, ms[0])
		r.refused("NACK is not in STOMP 1.0")
	})
}

func TestAckOfNumberedMessages(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.1")
		r.subscribe("id", "q", "destination", "/queue/jobs", "ack", "client-individual")
		var os []*gatewaytest.Outcome
		for seq := range uint64(3) {
			os = append(os, r.client().Deliver("q", "jobs", gatewaytest.Text("x"), gatewaytest.Numbered(seq+10, true, 1)))
		}
		r.next()
		m := r.next()
		require.Equal(r, "w11", m.Get("message-id"))
		r.answers(stomp.CmdNack, m, "receipt", "k")
		require.Equal(r, stomp.CmdMessage, r.next().Command)
		r.receipt("k")
		outcome(t, os[0], 0, nil)
		outcome(t, os[1], 1, gateway.ErrNack)
		r.client().Deliver("q", "jobs", gatewaytest.Text("x"), gatewaytest.Numbered(11, true, 2))
		again := r.next()
		require.Equal(r, "w11 true", again.Get("message-id")+" "+again.Get("redelivered"))
		r.answers(stomp.CmdAck, again, "receipt", "k")
		r.receipt("k")
	})
}

func TestPrefetchOnTopics(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.subscribe("id", "s", "destination", "a", "ack", "client-individual", "prefetch-count", "2")
		var os []*gatewaytest.Outcome
		for i := range 7 {
			os = append(os, r.client().Deliver("s", "a", gatewaytest.Text(fmt.Sprint(i))))
		}
		first, second := r.next(), r.next()
		r.nothing()
		outcome(t, os[4], 0, nil)
		outcome(t, os[5], 1, gateway.ErrSlow) // two are out, three wait: the newest are lost
		outcome(t, os[6], 1, gateway.ErrSlow)
		r.answers(stomp.CmdAck, second)
		third := r.next()
		require.Equal(r, "2", string(third.Body))
		r.nothing()
		r.answers(stomp.CmdAck, first)
		require.Equal(r, "3", string(r.next().Body))
		r.answers(stomp.CmdAck, third)
		require.Equal(r, "4", string(r.next().Body))
		r.client().Deliver("s", "a", gatewaytest.Text("7"))
		r.nothing()
	}, func(r *rig) { r.conf.MaxPending = 3 })
}
