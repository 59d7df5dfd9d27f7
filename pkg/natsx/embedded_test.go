package natsx

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestStartIsQuick(t *testing.T) {
	began := time.Now()
	s, err := Start(Embedded{Dir: t.TempDir(), Port: -1, MQTTPort: -1})
	took := time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("start took %s", took)
	if took > time.Second {
		t.Errorf("start took %s", took)
	}
	nc := connect(t, Options{Server: s})
	if js, err := jetstream.New(nc); err != nil {
		t.Error(err)
	} else if _, err := js.AccountInfo(t.Context()); err != nil {
		t.Errorf("JetStream: %v", err)
	}
	c, err := net.Dial("tcp", s.MQTTAddr())
	if err != nil {
		t.Fatalf("MQTT listener: %v", err)
	}
	_ = c.Close()
	if addr := startServer(t).MQTTAddr(); addr != "" {
		t.Errorf("MQTT is off, but has address %q", addr)
	}
	s.Shutdown()
	s.Shutdown() // twice is fine
}

func TestStartErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		e    Embedded
		want string
	}{
		"NATS port taken":  {Embedded{Dir: t.TempDir(), Port: taken}, fmt.Sprintf("NATS port %d cannot be used", taken)},
		"MQTT port taken":  {Embedded{Dir: t.TempDir(), Port: -1, MQTTPort: taken}, fmt.Sprintf("MQTT port %d cannot be used", taken)},
		"no directory":     {Embedded{Port: -1}, "no directory"},
		"dir is a file":    {Embedded{Dir: file, Port: -1}, "not a directory"},
		"negative payload": {Embedded{Dir: t.TempDir(), Port: -1, MaxPayload: -1}, "out of range"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			s, err := Start(tt.e)
			if err == nil {
				s.Shutdown()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not say %q", err, tt.want)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestServerLogGoesToSlog(t *testing.T) {
	var out bytes.Buffer
	l := newServerLog(slog.New(slog.NewTextHandler(&out, nil)))
	l.Noticef("hidden %d", 1)
	l.Warnf("warned %d", 2)
	l.Fatalf("fatal %d", 3)
	if s := out.String(); strings.Contains(s, "hidden") || !strings.Contains(s, "warned 2") || !strings.Contains(s, "fatal 3") {
		t.Errorf("log: %s", s)
	}
	if err := l.fatal(); err == nil || err.Error() != "fatal 3" {
		t.Errorf("fatal error: %v", err)
	}
}

func TestMaxPayload(t *testing.T) {
	s, err := Start(Embedded{Dir: t.TempDir(), Port: -1, MaxPayload: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	if n := connect(t, Options{Server: s}).MaxPayload(); n != 4096 {
		t.Errorf("max payload %d", n)
	}
}
