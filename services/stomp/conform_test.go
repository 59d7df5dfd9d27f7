package stomp_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/pkg/sim"
	"sluice/services/stomp"
	"sluice/tests/conform"
)

func TestConform(t *testing.T) {
	conform.Run(t, conform.Suite{
		Kind: stomp.Kind(),
		Conf: `
listener.tcp.default { bind: "127.0.0.1:0", tcp_options { sndbuf: 8192 } }
heart_beat { send: "0s", want: "200ms" }
write_timeout: "1s"
`,
		Network: "tcp",
		Dial:    dialDevice,
		Can: conform.Capabilities{
			Connection: true, ClientID: true, Wildcards: true, Durable: true, Queue: true, Keepalive: true, Farewell: true,
		},
		EarlyPublish: func(topic, payload string) []byte {
			return []byte("SEND\ndestination:/topic/" + topic + "\n\n" + payload + "\x00")
		},
		EarlySubscribe: func(filter string) []byte {
			return []byte("SUBSCRIBE\nid:0\ndestination:/topic/" + filter + "\n\n\x00")
		},
		Again: func(d conform.Device) error { return d.Write([]byte("CONNECT\naccept-version:1.2\nhost:x\n\n\x00")) },
		Broken: func(secret string) []byte {
			return []byte("CONNECT\naccept-version:1.2\npasscode:" + secret + "\nno colon " + secret + "\n\n\x00")
		},
		Garbage: [][]byte{
			[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
			[]byte("HELLO\n\n\x00"),
			[]byte("send\ndestination:/topic/t\n\nlower case\x00"),
			[]byte("MESSAGE\ndestination:/topic/t\n\nfrom a client\x00"),
			[]byte("SEND\ndestination:/topic/t\ncontent-length:-1\n\nx\x00"),
			[]byte("SEND\ndestination:/topic/t\ncontent-length:2\n\nlonger\x00"),
			[]byte("\x00\x00\x00\x00"),
			[]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\x00\xff\n\n\x00"),
		},
		Flood:       []byte("CONNECT\n" + strings.Repeat("x:"+strings.Repeat("y", 900)+"\n", 40)),
		Oversize:    []byte("SEND\ndestination:/topic/t\n\n" + strings.Repeat("x", 9000) + "\x00"),
		Half:        []byte("CONNECT\naccept-version:1.2\ncontent-length:8000\nlogin:"),
		HalfPublish: []byte("SEND\ndestination:/topic/t\ncontent-length:8000\n\nhalf of it"),
		Keepalive:   300 * time.Millisecond,
		Grace:       2,
	})
}

// device is sim.STOMP as the suite knows devices.
type device struct {
	*sim.STOMP
	gate *conform.Gate
}

func dialDevice(ctx context.Context, addr string, l conform.Login) (conform.Device, error) {
	d := &device{}
	o := sim.STOMPOptions{ClientID: l.ClientID, Login: l.Username, Passcode: l.Password}
	if l.Keepalive > 0 {
		o.HeartBeat = strconv.FormatInt(l.Keepalive.Milliseconds(), 10) + ",0"
	}
	o.Dial = func(ctx context.Context) (c net.Conn, err error) {
		d.gate, err = conform.DialGate(ctx, "tcp", addr)
		return d.gate, err
	}
	var err error
	if d.STOMP, err = sim.DialSTOMP(ctx, o); err != nil {
		return nil, said(err)
	}
	return d, nil
}

// said is an error as the suite wants it.
func said(err error) error {
	if r, ok := errors.AsType[*sim.RefusedError](err); ok {
		return &conform.Refused{Later: strings.Contains(string(r.Frame.Body), "try later"), Text: r.Error()}
	}
	return err
}

func destination(name string, queue bool) string {
	if queue {
		return "/queue/" + name
	}
	return "/topic/" + name
}

func (d *device) Publish(ctx context.Context, p conform.Publication) error {
	return said(d.STOMP.Publish(ctx, destination(p.Topic, p.Queue), []byte(p.Payload)))
}

func (d *device) Subscribe(ctx context.Context, s conform.Subscription) error {
	headers := []string{}
	if s.Durable || s.Queue {
		headers = append(headers, "ack", "client-individual")
	}
	if s.Durable {
		headers = append(headers, "durable", "true")
	}
	dest := destination(s.Filter, s.Queue)
	return said(d.STOMP.Subscribe(ctx, dest, dest, headers...))
}

func (d *device) Next(ctx context.Context) (conform.Received, error) {
	f, err := d.STOMP.Next(ctx)
	if err != nil {
		return conform.Received{}, said(err)
	}
	return conform.Received{
		Topic: strings.TrimPrefix(f.Get("destination"), "/topic/"), Payload: string(f.Body), Again: f.Get("redelivered") == "true",
		Ack: func(ctx context.Context) error {
			if f.Get("ack") == "" {
				return nil
			}
			return said(d.STOMP.Ack(ctx, f))
		},
	}, nil
}

func (d *device) Write(b []byte) error {
	_, err := d.gate.Write(b)
	return err
}

func (d *device) Deaf(yes bool) { d.gate.Deaf(yes) }

func (d *device) Close(ctx context.Context) error { return said(d.Disconnect(ctx)) }

func (d *device) Cut() {
	_ = d.gate.Close()
	<-d.STOMP.Ended()
}

func (d *device) Err() error { return said(d.STOMP.Err()) }
