package management

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

// HTTPDeps are what the HTTP page shows.
type HTTPDeps struct {
	Metrics http.Handler // nil = 404
	Ready   func() error // nil = always ready; errors.Join makes several reasons
	Log     *slog.Logger // what net/http complains of; nil = none
}

const index = `sluice

/metrics  counters for Prometheus
/livez    200 while the process lives
/readyz   200 when devices can be served, else 503 with the reasons (text, or JSON with Accept: application/json)
`

// HTTP is the handler of the management page.
func HTTP(d HTTPDeps) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, index) })
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, r, d.Ready) })
	if d.Metrics != nil {
		mux.Handle("GET /metrics", d.Metrics)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

func ready(w http.ResponseWriter, r *http.Request, check func() error) {
	reasons := []string{}
	if check != nil {
		reasons = reasonsOf(check())
	}
	code := http.StatusOK
	if len(reasons) > 0 {
		code = http.StatusServiceUnavailable
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		// An error here is a peer that has gone.
		_ = json.NewEncoder(w).Encode(struct {
			Ready   bool     `json:"ready"`
			Reasons []string `json:"reasons"`
		}{len(reasons) == 0, reasons})
		return
	}
	if len(reasons) == 0 {
		reasons = []string{"ok"}
	}
	text(w, code, strings.Join(reasons, "\n")+"\n")
}

// reasonsOf takes joined errors apart.
func reasonsOf(err error) []string {
	if err == nil {
		return []string{}
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []string{err.Error()}
	}
	var all []string
	for _, e := range joined.Unwrap() {
		all = append(all, reasonsOf(e)...)
	}
	return all
}

func text(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprint(w, body) // an error is a peer that has gone
}

// HTTPServer is a listening management page.
type HTTPServer struct {
	l   net.Listener
	srv *http.Server
}

const (
	maxHeader  = 16 << 10
	httpClosed = 5 * time.Second // for answers under way when it ends
)

// ListenHTTP binds addr; requests are answered while Run runs.
func ListenHTTP(addr string, d HTTPDeps) (*HTTPServer, error) {
	h, err := listen(addr, HTTP(d))
	if err == nil && d.Log != nil {
		h.srv.ErrorLog = slog.NewLogLogger(d.Log.Handler(), slog.LevelWarn)
	}
	return h, err
}

func listen(addr string, handler http.Handler) (*HTTPServer, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("management: http: %w", err)
	}
	return &HTTPServer{l: l, srv: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    maxHeader,
	}}, nil
}

// Addr is where it listens, with the real port.
func (h *HTTPServer) Addr() net.Addr { return h.l.Addr() }

// Run answers until ctx ends, which is no error, and lets answers under way be
// finished. It may be called once.
func (h *HTTPServer) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- h.srv.Serve(h.l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("management: http: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpClosed)
	defer cancel()
	err := h.srv.Shutdown(end)
	if err != nil {
		err = errors.Join(fmt.Errorf("management: http: %w", err), h.srv.Close())
	}
	<-ended // http.ErrServerClosed
	return err
}
