package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"sluice/pkg/api"
	"sluice/pkg/natsx"
	"sluice/streams"
)

// sleeper is the session of a device that sleeps and has one subscription. These
// are put into the session service directly: a million devices that connect,
// subscribe and fall asleep would measure the edge.
func sleeper(i int) (api.ClientKey, string) {
	n := strconv.Itoa(i)
	return api.ClientKey{Proto: "mqttsn", Instance: "default", Client: "sleeper-" + n}, "iot.sleepers." + n
}

// sleepers makes clients sleeping sessions and one QoS 1 message for each, and
// tells what one costs in memory when all lie in their queues.
func sleepers(o options) (result, error) {
	nc, js, err := o.nats()
	if err != nil {
		return result{}, err
	}
	defer nc.Close()
	before, err := o.usage()
	if err != nil {
		return result{}, err
	}
	err = o.spread(func(i int) error {
		key, subj := sleeper(i)
		return ask(nc, key, "sleep", api.SleepRequest{
			ClientKey: key, Node: "bench", Epoch: 1, For: 24 * time.Hour,
			Filters: map[string]api.Filter{subj: {QoS: 1, Subjects: []string{subj}}},
		})
	})
	if err != nil {
		return result{}, err
	}
	start := time.Now()
	if err := o.fill(js); err != nil {
		return result{}, err
	}
	took := time.Since(start)
	time.Sleep(o.seconds)
	after, err := o.usage()
	return result{
		N: int64(o.clients), PerSec: float64(o.clients) / took.Seconds(),
		RSS: float64(after.rss-before.rss) / 1024 / float64(o.clients),
	}, err
}

// fill publishes one message for each session and waits until all are queued.
func (o options) fill(js jetstream.JetStream) error {
	ctx := context.Background()
	for i := range o.clients {
		_, subj := sleeper(i)
		m := &nats.Msg{Subject: subj, Data: make([]byte, o.size), Header: nats.Header{streams.HdrQoS: {"1"}}}
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
			return err
		}
	}
	<-js.PublishAsyncComplete()
	for {
		s, err := js.Stream(ctx, streams.Queue)
		if err != nil {
			return err
		}
		if n := s.CachedInfo().State.Msgs; n >= uint64(o.clients) {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// awaken waits until every partition has woken one of its sleeping sessions: so
// long does a restart take. The time is told in p50_ms.
func awaken(o options) (result, error) {
	start := time.Now()
	left := map[int]int{} // partition -> a client of it
	for i := range o.clients {
		key, _ := sleeper(i)
		if left[key.Partition()] = i; len(left) == api.Partitions {
			break
		}
	}
	nc, _, err := o.nats()
	if err != nil {
		return result{}, err
	}
	defer nc.Close()
	for p, i := range left {
		key, _ := sleeper(i)
		req := api.OpenRequest{ClientKey: key, Node: "bench", Epoch: 2, Wake: true, Window: 1}
		if err := ask(nc, key, "open", req); err != nil {
			return result{}, fmt.Errorf("partition %d: %w", p, err)
		}
	}
	return result{N: int64(len(left)), P50: float64(time.Since(start).Milliseconds())}, nil
}

// ask repeats while the partition has no owner.
func ask(nc *nats.Conn, key api.ClientKey, verb string, req any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for {
		_, err := natsx.CallWithin[any, api.OpenResponse](ctx, 5*time.Second, nc, streams.SessionSubject(verb, key), req)
		if err == nil || api.KindOf(err) != api.Unavailable || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// nats connects, for a minute, to the NATS server of -nats.
func (o options) nats() (*nats.Conn, jetstream.JetStream, error) {
	if o.natsURL == "" {
		return nil, nil, errors.New("-nats is needed")
	}
	for try := 0; ; try++ {
		nc, err := nats.Connect(o.natsURL)
		if err != nil {
			if try < 3000 {
				time.Sleep(20 * time.Millisecond)
				continue
			}
			return nil, nil, err
		}
		js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
		return nc, js, err
	}
}
