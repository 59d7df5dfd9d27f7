package management

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHTTP(t *testing.T) {
	var notReady error
	h := HTTP(HTTPDeps{
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "gw_clients 1") }),
		Ready:   func() error { return notReady },
	})
	get := func(method, path, accept string) (int, string) {
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		return w.Code, w.Body.String()
	}
	expect := func(code int, body, method, path, accept string) {
		t.Helper()
		c, b := get(method, path, accept)
		require.Equal(t, code, c)
		require.Contains(t, b, body)
	}
	expect(200, "/readyz", "GET", "/", "")
	expect(200, "gw_clients 1", "GET", "/metrics", "")
	expect(200, "ok", "GET", "/livez", "")
	expect(200, "ok", "GET", "/readyz", "")
	expect(200, `{"ready":true,"reasons":[]}`, "GET", "/readyz", "application/json")
	expect(404, "", "GET", "/nope", "")
	expect(405, "", "POST", "/livez", "")
	notReady = errors.Join(errors.New("NATS is RECONNECTING"), fmt.Errorf("node lease is not held"))
	expect(503, "NATS is RECONNECTING\nnode lease is not held\n", "GET", "/readyz", "")
	expect(503, `{"ready":false,"reasons":["NATS is RECONNECTING","node lease is not held"]}`, "GET", "/readyz", "application/json")
	expect(200, "ok", "GET", "/livez", "")
}

func TestHTTPServer(t *testing.T) {
	s, err := ListenHTTP("127.0.0.1:0", HTTPDeps{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	url := "http://" + s.Addr().String()
	resp, err := http.Get(url + "/readyz")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "ok\n", string(body))

	r, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	r.Header.Set("X", strings.Repeat("x", 2*maxHeader))
	resp, err = http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)

	_, err = ListenHTTP(s.Addr().String(), HTTPDeps{})
	require.Error(t, err, "taken")
	cancel()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("does not end")
	}
	_, err = net.Dial("tcp", s.Addr().String())
	require.Error(t, err)
}
