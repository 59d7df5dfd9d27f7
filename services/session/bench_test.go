package session

import (
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"sluice/pkg/api"
	"sluice/streams"
)

// BenchmarkDelivery is from GW_DATA to the acknowledgement of an edge, for one
// subscription and for many.
func BenchmarkDelivery(b *testing.B) {
	for _, clients := range []int{1, 100} {
		b.Run(strconv.Itoa(clients), func(b *testing.B) {
			h := newHouse(b, func(o *streams.Options) { o.QueueLimit = 1_000_000 })
			h.start("p1")
			got := make(chan struct{}, 1024)
			sub, err := h.nc.Subscribe(streams.EdgeSubject("n1", ">", ""), func(m *nats.Msg) {
				_ = m.Respond([]byte(api.DeliverAck))
				got <- struct{}{}
			})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = sub.Unsubscribe() }()
			for i := range clients {
				r := ask("c"+strconv.Itoa(i), "n1", 1)
				r.Window = 32
				if err := h.subscribe(r); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			for range b.N / clients {
				if _, err := h.js.PublishAsync("iot.x", []byte("0123456789")); err != nil {
					b.Fatal(err)
				}
			}
			for n := range b.N / clients * clients {
				select {
				case <-got:
				case <-time.After(10 * time.Second):
					b.Fatalf("%d of %d delivered", n, b.N/clients*clients)
				}
			}
		})
	}
}
