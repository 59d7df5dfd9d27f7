package metrics

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != http.StatusOK {
		t.Fatalf("scrape: %d, %v", w.Code, err)
	}
	return string(body)
}

func TestSeriesStandAtZero(t *testing.T) {
	m := New("1.2.3")
	m.Instance("stomp", "default", "SEND", "ACK")
	text := scrape(t, m)
	for _, want := range []string{
		`gw_connections{instance="default",proto="stomp"} 0`,
		`gw_clients{instance="default",proto="stomp"} 0`,
		`gw_connects_total{instance="default",proto="stomp",result="ok"} 0`,
		`gw_connects_total{instance="default",proto="stomp",result="denied"} 0`,
		`gw_disconnects_total{instance="default",proto="stomp",reason="keepalive"} 0`,
		`gw_rejects_total{instance="default",proto="stomp",reason="max_connections"} 0`,
		`gw_frames_total{dir="out",instance="default",proto="stomp",type="ACK"} 0`,
		`gw_frames_total{dir="in",instance="default",proto="stomp",type="other"} 0`,
		`gw_frame_errors_total{instance="default",proto="stomp",reason="malformed"} 0`,
		`gw_messages_total{dir="in",instance="default",proto="stomp",result="unavailable"} 0`,
		`gw_messages_total{dir="out",instance="default",proto="stomp",result="dropped"} 0`,
		`gw_bytes_total{dir="in",instance="default",proto="stomp"} 0`,
		`gw_auth_seconds_count{instance="default",proto="stomp",result="ok"} 0`,
		`gw_publish_ack_seconds_count{result="failed"} 0`,
		`gw_dead_total{reason="expired"} 0`,
		"gw_queue_messages 0", "gw_retries_total 0", "gw_panics_total 0", "gw_publish_pending 0",
		"gw_nats_connected 0", "gw_subscriptions 0", `version="1.2.3"} 1`,
		"go_goroutines ", "process_resident_memory_bytes ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestCounting(t *testing.T) {
	m := New("")
	i := m.Instance("stomp", "default", "SEND")
	count(m, i)
	again := m.Instance("stomp", "default", "SEND") // as after a reload: the same series
	again.FrameIn("SEND")
	again.FrameIn("from the peer")
	m.Instance("coap", "default").BytesIn(99)
	got := m.Snapshot("stomp", "default")
	for name, want := range map[string]float64{
		"gw_connections": 1, "gw_clients": 0,
		`gw_connects_total{result="ok"}`: 1, `gw_connects_total{result="other"}`: 1,
		`gw_disconnects_total{reason="normal"}`: 1, `gw_rejects_total{reason="rate"}`: 1,
		`gw_frames_total{dir="in",type="SEND"}`: 2, `gw_frames_total{dir="in",type="other"}`: 1,
		`gw_frames_total{dir="out",type="SEND"}`: 1, `gw_frame_errors_total{reason="odd"}`: 1,
		`gw_messages_total{dir="in",result="ok"}`: 5, `gw_messages_total{dir="out",result="dropped"}`: 1,
		`gw_bytes_total{dir="in"}`: 10, `gw_bytes_total{dir="out"}`: 20,
		`gw_auth_seconds_count{result="ok"}`: 1, `gw_auth_seconds_sum{result="ok"}`: 0.5, `gw_auth_seconds_count{result="refused"}`: 1,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%t), want %v", name, v, ok, want)
		}
	}
	if _, ok := got["gw_panics_total"]; ok {
		t.Error("a series of the process is in an instance's snapshot")
	}
	all := m.Snapshot("", "")
	for name, want := range map[string]float64{
		"gw_panics_total": 1, "gw_retries_total": 1, "gw_queue_messages": 7, "gw_publish_pending": 8, "gw_subscriptions": 9,
		"gw_nats_connected": 0, `gw_dead_total{reason="expired"}`: 1, `gw_publish_ack_seconds_count{result="ok"}`: 1,
		`gw_bytes_total{dir="in",instance="default",proto="coap"}`: 99,
	} {
		if v, ok := all[name]; !ok || v != want {
			t.Errorf("%s is %v (%t), want %v", name, v, ok, want)
		}
	}
	m.Forget("stomp", "default")
	if left := m.Snapshot("stomp", ""); len(left) != 0 {
		t.Errorf("after Forget: %v", left)
	}
}

// count calls every method once.
func count(m *Metrics, i *Instance) {
	i.Opened()
	i.Opened()
	i.ClosedConn()
	i.Rejected("rate")
	i.Connect("ok")
	i.Connect("what")
	i.Connected()
	i.Disconnected("normal")
	i.Auth(500*time.Millisecond, true)
	i.Auth(time.Second, false)
	i.FrameIn("SEND")
	i.FrameOut("SEND")
	i.FrameError("odd")
	i.BytesIn(10)
	i.BytesOut(20)
	i.Message("in", "ok")
	i.Messages("in", "ok", 4)
	i.Message("out", "dropped")
	m.QueueMessages(7)
	m.PublishPending(8)
	m.Subscriptions(9)
	m.PublishAck(time.Millisecond, true)
	m.PublishAck(time.Millisecond, false)
	m.NATSConnected(true)
	m.NATSConnected(false)
	m.Retry()
	m.Dead("expired")
	m.Panic()
}

func TestNilCountsNothing(t *testing.T) {
	var m *Metrics
	count(m, m.Instance("stomp", "default"))
	m.Forget("stomp", "default")
	if s := m.Snapshot("", ""); len(s) != 0 {
		t.Errorf("snapshot %v", s)
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("handler: %d", w.Code)
	}
}

// Reasons may be new, but a flood of them must not become a flood of series.
func TestNewValuesAreBounded(t *testing.T) {
	m := New("")
	i := m.Instance("stomp", "default")
	before := len(m.Snapshot("stomp", "default"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range 100 {
				i.FrameError(fmt.Sprint("reason ", n))
			}
		})
	}
	wg.Wait()
	s := m.Snapshot("stomp", "default")
	if n := len(s) - before; n != dynamic {
		t.Errorf("%d new series", n)
	}
	var sum float64
	for name, v := range s {
		if strings.HasPrefix(name, "gw_frame_errors_total") {
			sum += v
		}
	}
	if sum != 400 {
		t.Errorf("%v errors counted", sum)
	}
}

func TestTwoInOneProcess(t *testing.T) {
	a, b := New("a"), New("b")
	a.Panic()
	if b.Snapshot("", "")["gw_panics_total"] != 0 {
		t.Error("two Metrics share a series")
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	i := New("").Instance("stomp", "default", "SEND")
	if n := testing.AllocsPerRun(100, func() { i.FrameIn("SEND"); i.Message("in", "ok"); i.BytesIn(1); i.FrameIn("odd") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFrameIn(b *testing.B) {
	i := New("").Instance("stomp", "default", "SEND", "ACK", "NACK", "SUBSCRIBE", "UNSUBSCRIBE", "BEGIN", "COMMIT", "ABORT", "CONNECT", "STOMP", "DISCONNECT")
	for b.Loop() {
		i.FrameIn("SEND")
	}
}
