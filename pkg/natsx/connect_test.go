package natsx

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

func portOf(t *testing.T, s *Server) int {
	t.Helper()
	u, err := url.Parse(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// A restart on the same store and port: the connection and the stored message
// come back, and what was published meanwhile was refused, not kept for later.
func TestReconnectAfterRestart(t *testing.T) {
	dir := t.TempDir()
	s, err := Start(Embedded{Dir: dir, Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var states []bool
	nc := connect(t, Options{URLs: []string{s.ClientURL()}, OnState: func(c bool) {
		mu.Lock()
		defer mu.Unlock()
		states = append(states, c)
	}})
	js, kv := bucket(t, nc, "B")
	if _, err := kv.Put(t.Context(), "k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	sub, err := nc.SubscribeSync("late")
	if err != nil {
		t.Fatal(err)
	}
	port := portOf(t, s)
	s.Shutdown()
	eventually(t, "disconnected", func() bool { return !nc.IsConnected() })
	if err := nc.Publish("late", nil); !errors.Is(err, nats.ErrReconnectBufExceeded) {
		t.Errorf("publish while away: %v", err)
	}
	if _, err := js.Publish(within(t, time.Second), "$KV.B.k", nil); err == nil {
		t.Error("JetStream publish while away succeeded")
	}
	s, err = Start(Embedded{Dir: dir, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	began := time.Now()
	eventually(t, "reconnected", nc.IsConnected)
	t.Logf("reconnected %s after the restart", time.Since(began))
	if e, err := kv.Get(within(t, 5*time.Second), "k"); err != nil || string(e.Value()) != "v" {
		t.Errorf("after restart: %v, %v", e, err)
	}
	if m, err := sub.NextMsg(100 * time.Millisecond); err == nil {
		t.Errorf("a message came late: %v", m)
	}
	eventually(t, "states", func() bool { mu.Lock(); defer mu.Unlock(); return len(states) == 3 })
	mu.Lock()
	defer mu.Unlock()
	if !states[0] || states[1] || !states[2] {
		t.Errorf("states %v", states)
	}
}

func TestConnectWaitsForServer(t *testing.T) {
	s := startServer(t)
	port := portOf(t, s)
	s.Shutdown()
	go func() {
		time.Sleep(300 * time.Millisecond)
		late, err := Start(Embedded{Dir: t.TempDir(), Port: port})
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(late.Shutdown)
	}()
	nc := connect(t, Options{URLs: []string{s.ClientURL()}})
	if !nc.IsConnected() {
		t.Error("returned before it was connected")
	}
}

func TestConnectGivesUpWithContext(t *testing.T) {
	why := errors.New("stop it")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, why)
	defer cancel()
	began := time.Now()
	_, err := Connect(ctx, Options{URLs: []string{"nats://127.0.0.1:1"}})
	if !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %s", took)
	}
}

func TestConnectRefused(t *testing.T) {
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, Username: "u", Password: "right"})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	defer ns.Shutdown()
	var out bytes.Buffer
	with := strings.Replace(ns.ClientURL(), "nats://", "nats://u:hush-wrong@", 1)
	began := time.Now()
	_, err = Connect(t.Context(), Options{URLs: []string{with}, Log: slog.New(slog.NewTextHandler(&out, nil))})
	if !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %s", took)
	}
	right, err := Connect(t.Context(), Options{URLs: []string{ns.ClientURL()}, User: "u", Password: "right", Log: slog.New(slog.NewTextHandler(&out, nil))})
	if err != nil {
		t.Fatal(err)
	}
	right.Close()
	if strings.Contains(out.String(), "hush") || strings.Contains(out.String(), "right") {
		t.Errorf("a secret is in the log: %s", out.String())
	}
}

func TestConnectBadOptions(t *testing.T) {
	tests := map[string]Options{
		"nothing":      {},
		"bad url":      {URLs: []string{"nats://u:hush@host:port"}},
		"creds absent": {URLs: []string{"nats://h"}, Creds: "/does/not/exist"},
		"nkey absent":  {URLs: []string{"nats://h"}, NKey: "/does/not/exist"},
		"ca absent":    {URLs: []string{"nats://h"}, TLSCA: "/does/not/exist"},
		"cert absent":  {URLs: []string{"nats://h"}, TLSCert: "/does/not/exist"},
	}
	for name, o := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Connect(within(t, 2*time.Second), o)
			if err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
			if strings.Contains(errText(err), "hush") {
				t.Errorf("the password is in the error: %v", err)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	for n := range 200 {
		if d := backoff(n); d < minReconnect/2 || d > maxReconnect {
			t.Errorf("attempt %d: %s", n, d)
		}
	}
}
