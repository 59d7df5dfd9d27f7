package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"sluice/pkg/sim"
	"sluice/streams"
	"sluice/tests/logs"
)

func TestTap(t *testing.T) {
	r := start(t, append([]string{"run", "--config", file(t, loopback)}, onFreePorts(t.TempDir())...)...)
	url := "nats://" + r.address(t, "nats")
	var out, errs logs.Buffer
	code := make(chan int, 1)
	go func() {
		code <- execute(t.Context(), []string{"sluice", "tap", "--nats", url, "--count", "3", "--headers", "iot/#", "gw.evt.*.*.connected.>"}, nil, &out, &errs)
	}()
	nc := r.nats(t)
	require.Eventually(t, func() bool { // a subscription says nothing when it is there
		require.NoError(t, nc.Publish("iot.x", []byte{0xff, 0x00}))
		return strings.Contains(out.String(), "iot.x hex:ff00")
	}, patience, 20*time.Millisecond)
	d := r.device(t, sim.STOMPOptions{ClientID: "car-7"})
	for len(code) == 0 { // how many of the above were counted is open
		require.NoError(t, d.Publish(within(t), "speed", []byte("42 km/h")))
	}
	require.Zero(t, <-code, errs.String())
	require.Regexp(t, `(?m)^\d\d:\d\d:\d\d\.\d{3} iot\.x hex:ff00$`, out.String())
}

func TestPrintMessage(t *testing.T) {
	for payload, want := range map[string]string{
		"42 km/h": "42 km/h", "Ünï": "Ünï", "a\nb": "a\nb", "\xff\x00": "hex:ff00", "\x1b[2J": `"\x1b[2J"`, "": "", "\u202e": `"\u202e"`,
	} {
		var b bytes.Buffer
		m := nats.NewMsg("iot.speed")
		m.Data = []byte(payload)
		m.Header.Set(streams.HdrProto, "stomp")
		m.Header.Set(streams.HdrInstance, "default")
		m.Header.Set(streams.HdrClient, "car-7")
		m.Header.Add("X", "\x1b[2J")
		require.NoError(t, printMessage(&b, m, false))
		require.Regexp(t, `^\d\d:\d\d:\d\d\.\d{3} iot\.speed \[stomp\.default car-7\] `+regexp.QuoteMeta(want)+"\n$", b.String())
		b.Reset()
		require.NoError(t, printMessage(&b, m, true))
		require.Contains(t, b.String(), "             Gw-Client: car-7\n")
		require.Contains(t, b.String(), `             X: "\x1b[2J"`)
		require.NotContains(t, b.String(), "\x1b")
	}
}

func TestTapRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := l.Addr().String()
	require.NoError(t, l.Close())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var out, errs logs.Buffer
	require.Equal(t, 1, execute(ctx, []string{"sluice", "tap", "--nats", "nats://" + nobody, "a.b"}, nil, &out, &errs))
	require.Contains(t, errs.String(), "cannot reach NATS at nats://"+nobody)

	r := start(t, append([]string{"run", "--config", file(t, loopback)}, append(onFreePorts(filepath.Join(t.TempDir(), "deep", "er")), "authn")...)...)
	for _, filter := range []string{"a..b", "a/#/b", "a b"} {
		code, _, stderr := sluice(t, "", "tap", "--nats", "nats://"+r.address(t, "nats"), filter)
		require.Equal(t, 2, code, filter)
		require.NotEmpty(t, stderr)
	}
	require.Zero(t, r.stop(t), fmt.Sprint(&r.errs))
}
