package stomp

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

func TestTransactionCommit(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.subscribe("id", "s", "destination", "a", "ack", "client-individual")
		ms, os := r.deliver("s", 2)
		r.send(stomp.CmdBegin, "transaction", "t", "receipt", "begin")
		r.receipt("begin")
		r.publish("1", "destination", "a", "transaction", "t", "receipt", "send", "x", "y")
		r.answers(stomp.CmdAck, ms[0], "transaction", "t", "receipt", "ack")
		r.publish("2", "destination", "/queue/q", "transaction", "t")
		r.answers(stomp.CmdNack, ms[1], "transaction", "t", "receipt", "nack")
		r.nothing()
		r.send(stomp.CmdCommit, "transaction", "t", "receipt", "commit")
		r.nothing() // not before the batch is stored
		outcome(t, os[0], 0, nil)
		require.Empty(r, r.client().Published())
		require.Equal(r, [][]gateway.Message{{
			{Topic: "a", Payload: []byte("1"), Props: []gateway.Prop{{Name: "x", Value: "y"}}},
			{Topic: "q", Queue: true, Payload: []byte("2")},
		}}, r.client().Batches())
		r.client().Ack(r.client().Tags()[0], nil)
		for _, id := range []string{"send", "ack", "nack", "commit"} {
			r.receipt(id)
		}
		outcome(t, os[0], 1, nil)
		outcome(t, os[1], 1, gateway.ErrNack)
		r.send(stomp.CmdBegin, "transaction", "t", "receipt", "again")
		r.receipt("again")
	}, manual)
}

func TestTransactionOfAnswersOnly(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.subscribe("id", "s", "destination", "a", "ack", "client")
		ms, os := r.deliver("s", 2)
		r.send(stomp.CmdBegin, "transaction", "t")
		r.answers(stomp.CmdAck, ms[1], "transaction", "t")
		r.answers(stomp.CmdAck, ms[0], "transaction", "t") // settled by the one before
		r.send(stomp.CmdCommit, "transaction", "t", "receipt", "commit")
		r.receipt("commit")
		outcome(t, os[0], 1, nil)
		outcome(t, os[1], 1, nil)
		require.Empty(r, r.client().Batches())
	})
}

func TestTransactionAbort(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.subscribe("id", "s", "destination", "a", "ack", "client")
		ms, os := r.deliver("s", 1)
		r.send(stomp.CmdBegin, "transaction", "t")
		r.publish("1", "destination", "a", "transaction", "t", "receipt", "never")
		r.answers(stomp.CmdAck, ms[0], "transaction", "t")
		r.send(stomp.CmdAbort, "transaction", "t", "receipt", "abort")
		r.receipt("abort")
		r.nothing()
		outcome(t, os[0], 0, nil)
		require.Empty(r, r.client().Batches())
		r.answers(stomp.CmdAck, ms[0], "receipt", "k") // still there to be answered
		r.receipt("k")
	})
}

func TestTransactionNotStored(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.subscribe("id", "s", "destination", "a", "ack", "client")
		ms, os := r.deliver("s", 1)
		r.send(stomp.CmdBegin, "transaction", "t")
		r.publish("1", "destination", "a", "transaction", "t", "receipt", "never")
		r.answers(stomp.CmdAck, ms[0], "transaction", "t")
		r.send(stomp.CmdCommit, "transaction", "t", "receipt", "commit")
		synctest.Wait()
		r.client().Ack(r.client().Tags()[0], api.Errorf(api.Unavailable, "publish", "try later"))
		require.Equal(r, "commit", r.refused("Cannot commit transaction t: try later").Get("receipt-id"))
		outcome(t, os[0], 1, gateway.ErrClosed)
	}, manual)
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.client().Deny(func(string, string) error { return api.Errorf(api.Denied, "authorize", "not allowed to publish to a") })
		r.send(stomp.CmdBegin, "transaction", "t")
		r.publish("1", "destination", "a", "transaction", "t")
		r.send(stomp.CmdCommit, "transaction", "t", "receipt", "commit")
		require.Equal(r, "commit", r.refused("Insufficient permissions in transaction t: not allowed to publish to a").Get("receipt-id"))
		require.Empty(r, r.client().Batches())
	})
}

func TestTransactionErrors(t *testing.T) {
	for text, frames := range map[string][]stomp.Frame{
		"Transaction t not found":           {frame(stomp.CmdCommit, "transaction", "t")},
		"Transaction u not found":           {frame(stomp.CmdAbort, "transaction", "u")},
		"Transaction v not found":           {frame(stomp.CmdSend, "destination", "a", "transaction", "v")},
		"Transaction w already started":     {frame(stomp.CmdBegin, "transaction", "w"), frame(stomp.CmdBegin, "transaction", "w")},
		"Transaction x not found":           {frame(stomp.CmdBegin, "transaction", "x"), frame(stomp.CmdCommit, "transaction", "x"), frame(stomp.CmdCommit, "transaction", "x")},
		"BEGIN needs a header transaction":  {frame(stomp.CmdBegin)},
		"COMMIT needs a header transaction": {frame(stomp.CmdCommit)},
		"ABORT needs a header transaction":  {frame(stomp.CmdAbort)},
		"ACK of 1-s: no such message":       {frame(stomp.CmdBegin, "transaction", "t"), frame(stomp.CmdAck, "transaction", "t", "id", "1-s")},
		"SEND needs a header destination":   {frame(stomp.CmdBegin, "transaction", "t"), frame(stomp.CmdSend, "transaction", "t")},
		"more than 2 open transactions":     {frame(stomp.CmdBegin, "transaction", "1"), frame(stomp.CmdBegin, "transaction", "2"), frame(stomp.CmdBegin, "transaction", "3")},
	} {
		dialogue(t, func(r *rig) {
			r.connect("1.2")
			last := len(frames) - 1
			frames[last].Headers = append(frames[last].Headers, stomp.Header{Name: "receipt", Value: "r"})
			for _, f := range frames {
				r.raw(r.encode(f))
			}
			require.Equal(r, "r", r.refused(text).Get("receipt-id"))
		}, func(r *rig) { r.conf.Transaction.MaxOpen = 2 })
	}
}

func TestTransactionLimits(t *testing.T) {
	small := func(r *rig) { r.conf.Transaction.MaxFrames, r.conf.Transaction.MaxBytes = 3, 1000 }
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.send(stomp.CmdBegin, "transaction", "t")
		for i := range 4 {
			r.publish("x", "destination", "a", "transaction", "t", "receipt", fmt.Sprint(i))
		}
		require.Equal(r, "3", r.refused("more than 3 frames in transaction t").Get("receipt-id"))
	}, small)
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.send(stomp.CmdBegin, "transaction", "t")
		r.publish(strings.Repeat("x", 1000), "destination", "a", "transaction", "t")
		r.refused("more than 1000 bytes in transaction t")
	}, small)
}

func TestTransactionTimeout(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		start := time.Now()
		r.send(stomp.CmdBegin, "transaction", "t")
		time.Sleep(30 * time.Second)
		r.send(stomp.CmdBegin, "transaction", "u")
		r.refused("Transaction t was open for longer than 1m0s")
		require.Equal(r, time.Minute+linger, time.Since(start))
		require.Empty(r, r.client().Batches())
	})
	dialogue(t, func(r *rig) { // one that is ended in time has no timer
		r.connect("1.2")
		r.send(stomp.CmdBegin, "transaction", "t")
		time.Sleep(30 * time.Second)
		r.send(stomp.CmdAbort, "transaction", "t")
		time.Sleep(time.Hour)
		r.nothing()
	})
}

func TestTransactionEndsWithTheConnection(t *testing.T) {
	dialogue(t, func(r *rig) {
		r.connect("1.2")
		r.send(stomp.CmdBegin, "transaction", "t")
		r.publish("x", "destination", "a", "transaction", "t")
		r.send(stomp.CmdDisconnect, "receipt", "bye")
		r.receipt("bye")
		r.ended()
		require.Empty(r, r.client().Batches())
	})
}
