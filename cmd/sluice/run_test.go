package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"sluice/pkg/natsx"
	"sluice/pkg/sim"
	"sluice/streams"
	"sluice/tests/logs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second // for what must happen on a busy machine

// running is a sluice in this process.
type running struct {
	out, errs logs.Buffer
	cancel    context.CancelFunc
	code      chan int
	took      time.Duration // until it was ready
}

// onFreePorts are flags that keep tests out of each other's way.
func onFreePorts(dir string) []string {
	return []string{"--nats-port", "-1", "--mqtt-port", "-1", "--http", "127.0.0.1:0", "--data", dir}
}

const loopback = `gateway.stomp.default { allow_anonymous: true, listener.tcp.default.bind: "127.0.0.1:0" }`

func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel: cancel, code: make(chan int, 1)}
	begin := time.Now()
	go func() {
		r.code <- execute(ctx, append([]string{"sluice"}, args...), strings.NewReader(""), &r.out, &r.errs)
	}()
	t.Cleanup(func() {
		r.stop(t)
		if t.Failed() {
			t.Logf("stdout:\n%s\nstderr:\n%s", &r.out, &r.errs)
		}
	})
	require.Eventually(t, func() bool { return strings.Contains(r.out.String(), "ready in") || len(r.code) > 0 }, patience, time.Millisecond)
	r.took = time.Since(begin)
	require.Contains(t, r.out.String(), "ready in", r.errs.String())
	return r
}

// stop ends it once and gives its exit code.
func (r *running) stop(t *testing.T) int {
	t.Helper()
	r.cancel()
	select {
	case code := <-r.code:
		r.code <- code // for the next to ask
		return code
	case <-time.After(patience):
		t.Fatalf("does not end\n%s", &r.errs)
		return -1
	}
}

// address is what the banner says of a listener.
func (r *running) address(t *testing.T, listener string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(listener) + ` +([0-9.]+:[1-9][0-9]*) `).FindStringSubmatch(r.out.String())
	require.NotNil(t, found, "%s in\n%s", listener, &r.out)
	return found[1]
}

func (r *running) device(t *testing.T, o sim.STOMPOptions) *sim.STOMP {
	t.Helper()
	o.Dial = func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", r.address(t, "stomp.default tcp"))
	}
	d, err := sim.DialSTOMP(within(t), o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func (r *running) nats(t *testing.T) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("nats://" + r.address(t, "nats"))
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

// TestRun is a day in the life: start, a message, a look, the end, and again.
func TestRun(t *testing.T) {
	dir, conf := t.TempDir(), file(t, loopback)
	args := append([]string{"run", "--config", conf}, onFreePorts(dir)...)
	r := start(t, args...)
	t.Logf("ready in %s", r.took)
	require.Less(t, r.took, 5*time.Second)
	require.NotEmpty(t, r.address(t, "mqtt (nats-server)"))

	sub, err := r.nats(t).SubscribeSync("iot.>")
	require.NoError(t, err)
	require.NoError(t, sub.SetPendingLimits(10, 1<<20))
	device := r.device(t, sim.STOMPOptions{ClientID: "car-7"})
	require.NoError(t, device.Publish(within(t), "a/b", []byte("hello")))
	m, err := sub.NextMsgWithContext(within(t))
	require.NoError(t, err)
	require.Equal(t, "iot.a.b", m.Subject)
	require.Equal(t, "hello", string(m.Data))
	require.Equal(t, "car-7", m.Header.Get(streams.HdrClient))

	page := "http://" + r.address(t, "management")
	for path, want := range map[string]string{"/livez": "ok", "/readyz": "ok", "/metrics": "gw_", "/": "/readyz"} {
		code, body := get(t, page+path)
		require.Equal(t, http.StatusOK, code, path)
		require.Contains(t, body, want, path)
	}

	require.Zero(t, r.stop(t), r.errs.String())
	select {
	case <-device.Ended():
	case <-time.After(patience):
		t.Fatal("the device was not told")
	}
	var refused *sim.RefusedError
	require.ErrorAs(t, device.Err(), &refused, "an ERROR frame came first")
	_, err = net.DialTimeout("tcp", strings.TrimPrefix(page, "http://"), time.Second)
	require.Error(t, err)
	require.NotContains(t, r.errs.String(), "level=ERROR")

	again := start(t, args...)
	js, err := jetstream.New(again.nats(t))
	require.NoError(t, err)
	s, err := js.Stream(within(t), streams.Data)
	require.NoError(t, err)
	stored, err := s.GetLastMsgForSubject(within(t), "iot.a.b")
	require.NoError(t, err)
	require.Equal(t, "hello", string(stored.Data))
	require.Zero(t, again.stop(t))
}

// A file without a gateway block, or services without edges, serve no device.
func TestRunSomeServices(t *testing.T) {
	r := start(t, append([]string{"run", "--config", file(t, loopback)}, append(onFreePorts(t.TempDir()), "authn", "management")...)...)
	require.NotContains(t, r.out.String(), "stomp.default")
	code, _ := get(t, "http://"+r.address(t, "management")+"/readyz")
	require.Equal(t, http.StatusOK, code)
	require.Zero(t, r.stop(t))
}

// A second process finds the first one's NATS and needs no port but its own.
func TestRunOnExternalNATS(t *testing.T) {
	first := start(t, append([]string{"run", "--config", file(t, loopback)}, append(onFreePorts(t.TempDir()), "authn", "session", "management")...)...)
	url := "nats://" + first.address(t, "nats")
	second := start(t, "run", "--config", file(t, loopback), "--nats", url, "--http", "", "--node", "edge-1", "stomp")
	require.Contains(t, second.out.String(), "node edge-1")
	require.Contains(t, second.out.String(), "nats (external)")
	require.NoError(t, second.device(t, sim.STOMPOptions{}).Publish(within(t), "a", nil))
	require.Zero(t, second.stop(t))
	require.Zero(t, first.stop(t))
}

// A process without an edge is ready while its services reach NATS, and says so
// in its figures.
func TestReadyWithoutAnEdge(t *testing.T) {
	srv, err := natsx.Start(natsx.Embedded{Dir: t.TempDir(), Port: -1})
	require.NoError(t, err)
	defer srv.Shutdown()
	r := start(t, "run", "--config", file(t, loopback), "--nats", srv.ClientURL(), "--http", "127.0.0.1:0", "authn", "management")
	page := "http://" + r.address(t, "management")
	code, _ := get(t, page+"/readyz")
	require.Equal(t, http.StatusOK, code)
	_, figures := get(t, page+"/metrics")
	require.Contains(t, figures, "gw_nats_connected 1")
	srv.Shutdown()
	require.Eventually(t, func() bool {
		code, why := get(t, page+"/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(why, "authn: not connected to NATS") && strings.Contains(why, "management: not connected")
	}, patience, 10*time.Millisecond)
	_, figures = get(t, page+"/metrics")
	require.Contains(t, figures, "gw_nats_connected 0")
	r.stop(t)
}

// A port in use is told with its address, and nothing is left running: goleak
// looks in TestMain, and the directory can be used again.
func TestRunPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	taken := l.Addr().String()
	_, port, err := net.SplitHostPort(taken)
	require.NoError(t, err)
	dir := t.TempDir()
	good, bad := file(t, loopback), file(t, strings.Replace(loopback, "127.0.0.1:0", taken, 1))
	for name, args := range map[string][]string{
		"stomp": {"--config", bad},
		"http":  {"--config", good, "--http", taken},
		"nats":  {"--config", good, "--nats-port", port},
		"mqtt":  {"--config", good, "--mqtt-port", port},
	} {
		code, stdout, stderr := sluice(t, "", append(append([]string{"run"}, onFreePorts(dir)...), args...)...)
		require.Equal(t, 1, code, name)
		require.Empty(t, stdout, "%s: no banner", name)
		last := strings.Split(strings.TrimSpace(stderr), "\n")
		require.Contains(t, last[len(last)-1], port, name)
		require.Contains(t, last[len(last)-1], "address already in use", name)
	}
	require.Zero(t, start(t, append([]string{"run", "--config", good}, onFreePorts(dir)...)...).stop(t))
}

func TestRunWithoutNATS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := "nats://user:hunter2@" + l.Addr().String()
	require.NoError(t, l.Close())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var out, errs logs.Buffer
	code := execute(ctx, []string{"sluice", "run", "--nats", nobody, "--http", "", "authn"}, nil, &out, &errs)
	require.Equal(t, 1, code)
	require.NotContains(t, out.String()+errs.String(), "hunter2")
	require.Contains(t, errs.String(), "sluice: natsx: connect: ")
}
