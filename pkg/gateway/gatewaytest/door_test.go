package gatewaytest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
)

var (
	_ gateway.Door   = (*Door)(nil)
	_ gateway.Client = (*Client)(nil)
)

func TestDoorDeniesDelaysAndBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Door{Deny: api.Errorf(api.Denied, "connect", "no"), Delay: time.Second}
		start := time.Now()
		_, err := d.Connect(t.Context(), gateway.Hello{ClientID: "a"})
		require.Equal(t, api.Denied, api.KindOf(err))
		require.Equal(t, time.Second, time.Since(start))
		require.Len(t, d.Hellos(), 1)
		require.Nil(t, d.Client())

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = (&Door{Block: true}).Connect(ctx, gateway.Hello{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestClientPlaysNATS(t *testing.T) {
	d := &Door{Manual: true, Window: 2}
	gc, err := d.Connect(t.Context(), gateway.Hello{})
	require.NoError(t, err)
	c := d.Client()
	require.NoError(t, gc.Publish(t.Context(), gateway.Message{Topic: "a", Confirm: true, Tag: 7}))
	require.NoError(t, gc.PublishBatch(t.Context(), []gateway.Message{{Topic: "b"}, {Topic: "c"}}, 8))
	n, window := gc.Inflight()
	require.Equal(t, 3, n)
	require.Equal(t, 2, window)
	require.Equal(t, []uint64{7, 8}, c.Tags())
	c.Ack(8, nil)
	first := c.Deliver("s", "a", Text("x"), Numbered(3, true, 2))
	<-gc.Wake()
	events := gc.Take(nil)
	require.Len(t, events, 2)
	require.Equal(t, gateway.Acked, events[0].Kind)
	require.Equal(t, uint64(3), events[1].Delivery.Seq)
	events[1].Delivery.Done(gateway.ErrNack)
	calls, err := first.Result()
	require.Equal(t, 1, calls)
	require.ErrorIs(t, err, gateway.ErrNack)

	topic, err := gc.Topic("x/${clientid}/${phone}/${else}", func(name string) (string, bool) { return "1", name == "phone" })
	require.NoError(t, err)
	require.Equal(t, "x/made-by-door/1/${else}", topic)
	require.NoError(t, gc.Report(t.Context(), gateway.Report{Kind: "k", Topic: topic, Frame: []byte("f"), Tag: 9}))
	require.Equal(t, topic, c.Reports()[0].Topic)
	c.Ack(9, nil)
	<-gc.Wake()
	require.Equal(t, uint64(9), gc.Take(nil)[0].Tag)

	untaken := c.Deliver("s", "a", Text("y"))
	gc.Close(gateway.ErrKicked)
	_, err = untaken.Result()
	require.ErrorIs(t, err, gateway.ErrClosed)
	calls, err = c.Closed()
	require.Equal(t, 1, calls)
	require.ErrorIs(t, err, gateway.ErrKicked)
}
