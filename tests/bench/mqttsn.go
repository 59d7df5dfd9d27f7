package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"sluice/pkg/sim"
)

// perAddress is how many devices share a loopback address: ports are few.
const perAddress = 20_000

// sensor connects an MQTT-SN device.
func (o options) sensor(i int, clean bool) (*sim.MQTTSN, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	from := &net.UDPAddr{IP: net.IPv4(127, 0, 1, byte(2+(o.first+i)/perAddress%200))}
	return sim.DialMQTTSN(ctx, sim.MQTTSNOptions{
		ClientID: "bench-" + strconv.Itoa(o.first+i), Clean: clean, AutoAck: true, Retry: 2 * time.Second, Retries: 30,
		Dial: func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{LocalAddr: from}).DialContext(ctx, "udp", o.addr)
		},
	})
}

// sensors connects all of them, some at a time.
func (o options) sensors(clean bool, each func(i int, d *sim.MQTTSN) error) ([]*sim.MQTTSN, error) {
	all := make([]*sim.MQTTSN, o.clients)
	return all, o.spread(func(i int) (err error) {
		if all[i], err = o.sensor(i, clean); err == nil && each != nil {
			err = each(i, all[i])
		}
		return err
	})
}

// spread does f for all clients, window at a time.
func (o options) spread(f func(i int) error) error {
	var next atomic.Int64
	var group sync.WaitGroup
	errs := make(chan error, o.window)
	for range o.window {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < o.clients; i = int(next.Add(1)) - 1 {
				if err := f(i); err != nil {
					select {
					case errs <- fmt.Errorf("client %d: %w", i, err):
					default:
					}
					return
				}
			}
		})
	}
	group.Wait()
	close(errs)
	return <-errs
}

func cutAll(all []*sim.MQTTSN) {
	for _, d := range all {
		if d != nil {
			d.Cut()
		}
	}
}

// publishSN: every client publishes with QoS 1, one message after the other; or
// with QoS 0, a few and then a PINGREQ, whose answer says that they were read.
func publishSN(qos int8) func(options) (result, error) {
	return func(o options) (result, error) {
		all, err := o.sensors(true, func(i int, d *sim.MQTTSN) error {
			_, err := d.Register(context.Background(), "bench/"+strconv.Itoa(i))
			return err
		})
		defer cutAll(all)
		if err != nil {
			return result{}, err
		}
		return o.measured(func() (int64, error) {
			ctx, cancel := context.WithTimeout(context.Background(), o.seconds)
			defer cancel()
			var n atomic.Int64
			var group sync.WaitGroup
			for i, d := range all {
				group.Go(func() {
					for burst := 0; ctx.Err() == nil; burst++ {
						if d.Publish(ctx, "bench/"+strconv.Itoa(i), make([]byte, o.size), qos, false) != nil {
							return
						}
						n.Add(1)
						if qos == 0 && burst%8 == 7 && d.Ping(ctx) != nil {
							return
						}
					}
				})
			}
			group.Wait()
			return n.Load(), nil
		})
	}
}

// fanoutSN: one publisher with QoS 1, clients receivers of its topic with QoS 0.
func fanoutSN(o options) (result, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var n atomic.Int64
	var receiving sync.WaitGroup
	all, err := o.sensors(true, func(_ int, d *sim.MQTTSN) error {
		_, err := d.Subscribe(ctx, "bench/fan", 0)
		receiving.Go(func() {
			for {
				if _, err := d.Next(ctx); err != nil {
					return
				}
				n.Add(1)
			}
		})
		return err
	})
	defer func() { cutAll(all); cancel(); receiving.Wait() }()
	if err != nil {
		return result{}, err
	}
	from, err := o.sensor(1<<20, true)
	if err != nil {
		return result{}, err
	}
	defer from.Cut()
	var want int64
	r, err := o.measured(func() (int64, error) {
		for end := time.Now().Add(o.seconds); time.Now().Before(end); want += int64(o.clients) {
			if err := from.Publish(ctx, "bench/fan", make([]byte, o.size), 1, false); err != nil {
				return 0, err
			}
		}
		for seen, since := n.Load(), time.Now(); n.Load() < want && time.Since(since) < quiet; {
			time.Sleep(time.Millisecond)
			if now := n.Load(); now > seen {
				seen, since = now, time.Now()
			}
		}
		return n.Load(), nil
	})
	r.Lost = want - r.N
	return r, err
}

// drainSN: sleeping clients with one message each wake up, fetch it, and sleep on.
func drainSN(o options) (result, error) {
	ctx := context.Background()
	all, err := o.sensors(false, func(i int, d *sim.MQTTSN) error {
		if _, err := d.Subscribe(ctx, "bench/"+strconv.Itoa(i), 1); err != nil {
			return err
		}
		return d.Sleep(ctx, 60_000)
	})
	defer cutAll(all)
	if err != nil {
		return result{}, err
	}
	if err := o.oneEach(ctx); err != nil {
		return result{}, err
	}
	time.Sleep(o.seconds)
	var missing atomic.Int64
	r, err := o.measured(func() (int64, error) {
		return int64(o.clients), o.spread(func(i int) error {
			if err := all[i].Wake(ctx); err != nil {
				return err
			}
			if len(all[i].Messages) != 1 {
				missing.Add(1)
			}
			return nil
		})
	})
	r.Lost = missing.Load()
	return r, err
}

// oneEach publishes a message for every client. A device can register so many
// topics and no more, so it takes several.
func (o options) oneEach(ctx context.Context) error {
	const topics = 1000
	var from *sim.MQTTSN
	for i := range o.clients {
		if i%topics == 0 {
			if from != nil {
				from.Cut()
			}
			var err error
			if from, err = o.sensor(1<<20+i, true); err != nil {
				return err
			}
		}
		if err := from.Publish(ctx, "bench/"+strconv.Itoa(i), make([]byte, o.size), 1, false); err != nil {
			return err
		}
	}
	from.Cut()
	return nil
}

// idleSN is idle for MQTT-SN clients.
func idleSN(o options) (result, error) {
	before, err := o.usage()
	if err != nil {
		return result{}, err
	}
	all, err := o.sensors(true, nil)
	defer cutAll(all)
	if err != nil {
		return result{}, err
	}
	time.Sleep(o.seconds)
	after, err := o.usage()
	return result{N: int64(o.clients), RSS: float64(after.rss-before.rss) / 1024 / float64(o.clients)}, err
}
