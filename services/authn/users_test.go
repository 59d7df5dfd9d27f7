package authn

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// entry is what a watch brings.
type entry struct {
	jetstream.KeyValueEntry
	revision uint64
	op       jetstream.KeyValueOp
}

func (e entry) Key() string                     { return "global.ann" }
func (e entry) Revision() uint64                { return e.revision }
func (e entry) Operation() jetstream.KeyValueOp { return e.op }
func (e entry) Value() []byte                   { return []byte("{}") }

// TestSettleWaitsForTheWatch: an answer that a user is there, or gone, is given
// when the memory of the instance says so too.
func TestSettleWaitsForTheWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUsers(slog.New(slog.DiscardHandler))
		settled := make(chan time.Duration, 2)
		wait := func(known func(uint64) bool) {
			began := time.Now()
			go func() {
				u.settle(t.Context(), "global.ann", known)
				settled <- time.Since(began)
			}()
		}
		wait(func(r uint64) bool { return r >= 2 })
		time.Sleep(time.Second)
		u.apply(entry{revision: 1, op: jetstream.KeyValuePut}) // an older one
		time.Sleep(time.Second)
		u.apply(entry{revision: 2, op: jetstream.KeyValuePut})
		require.Equal(t, 2*time.Second, <-settled)

		wait(func(r uint64) bool { return r != 2 })
		time.Sleep(time.Second)
		u.apply(entry{revision: 3, op: jetstream.KeyValueDelete})
		require.Equal(t, time.Second, <-settled)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // a watch that says nothing holds nobody for ever
		defer cancel()
		u.settle(ctx, "global.ann", func(uint64) bool { return false })
	})
}
