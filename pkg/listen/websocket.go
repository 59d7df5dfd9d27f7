package listen

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	maxHeaderBytes = 8 << 10 // of the HTTP request, with 4 KiB that net/http adds
	wsReadBuffer   = 512     // longer payloads are read past it
	wsWriteBuffer  = 1 << 10 // a longer message is two writes
)

var errNoUpgrade = errors.New("not an HTTP request")

// upgrader turns connections into WebSockets by an HTTP server that it is the
// listener of. A connection is in the server's hands during the handshake only.
//
// Goroutines: the server's own, ended by stop; one a connection during its
// handshake, ended by its success or by the connection's end.
type upgrader struct {
	listener *Listener
	ctx      context.Context // cannot end: deadlines and closing end reads and writes
	server   *http.Server
	pending  chan *wsSocket
	closing  chan struct{}
	once     sync.Once
	done     chan struct{}
}

func newUpgrader(ctx context.Context, l *Listener) *upgrader {
	u := &upgrader{
		listener: l, ctx: context.WithoutCancel(ctx),
		pending: make(chan *wsSocket), closing: make(chan struct{}), done: make(chan struct{}),
	}
	conf := l.state.Load().conf
	u.server = &http.Server{
		Handler:        u,
		MaxHeaderBytes: maxHeaderBytes,
		// What counts is the whole handshake's time, which bounded holds.
		ReadHeaderTimeout: conf.HandshakeTimeout,
		IdleTimeout:       time.Second,
		ErrorLog:          slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return u.ctx },
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, socketKey{}, nc)
		},
	}
	go func() {
		defer close(u.done)
		_ = u.server.Serve(u) // ends by stop only
	}()
	return u
}

func (u *upgrader) stop() {
	_ = u.server.Close()
	<-u.done
}

// Accept implements net.Listener for the HTTP server.
func (u *upgrader) Accept() (net.Conn, error) {
	select {
	case s := <-u.pending:
		return s, nil
	case <-u.closing:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (u *upgrader) Close() error {
	u.once.Do(func() { close(u.closing) })
	return nil
}

// Addr implements net.Listener.
func (u *upgrader) Addr() net.Addr { return u.listener.Addr() }

// upgrade hands a connection to the HTTP server and waits for what becomes of it.
func (u *upgrader) upgrade(ctx context.Context, c *Conn) error {
	s := &wsSocket{Conn: c.Conn, outcome: make(chan *wsConn, 1), why: errNoUpgrade}
	select {
	case u.pending <- s:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case w := <-s.outcome:
		if w == nil {
			return s.why
		}
		c.Conn, c.Subprotocol, c.Path = w, w.ws.Subprotocol(), w.path
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// wsSocket is a connection as the HTTP server sees it.
type wsSocket struct {
	net.Conn
	outcome chan *wsConn // gets one; nil: refused
	why     error        // of a refusal, written before outcome
	early   []byte       // came with the request
}

type socketKey struct{}

func (s *wsSocket) Read(p []byte) (int, error) {
	if len(s.early) > 0 {
		n := copy(p, s.early)
		s.early = s.early[n:]
		return n, nil
	}
	return s.Conn.Read(p)
}

// Close closes. Before the upgrade this is the server's last word, after it there
// is nobody who takes the outcome.
func (s *wsSocket) Close() error {
	err := s.Conn.Close()
	select {
	case s.outcome <- nil:
	default:
	}
	return err
}

// ServeHTTP decides about one upgrade.
func (u *upgrader) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := r.Context().Value(socketKey{}).(*wsSocket)
	conf := u.listener.state.Load().conf.WebSocket
	chosen, status, err := conf.judge(r)
	if err != nil {
		http.Error(w, err.Error(), status)
		s.refuse(w, err)
		return
	}
	// Origins were judged by our own rules.
	opts := &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled}
	if chosen != "" {
		opts.Subprotocols = []string{chosen}
	}
	ws, err := websocket.Accept(&hijacker{w, s}, r, opts)
	if err != nil { // it has been answered
		s.refuse(w, err)
		return
	}
	ws.SetReadLimit(int64(conf.MaxFrameSize))
	select {
	case s.outcome <- &wsConn{ws: ws, ctx: u.ctx, stream: s.Conn, path: r.URL.Path, text: conf.MessageType}:
	default: // the server was closed in between
		_ = ws.CloseNow()
	}
}

// refuse sends the answer out and ends the connection: it gets no second request.
func (s *wsSocket) refuse(w http.ResponseWriter, err error) {
	s.why = fmt.Errorf("listen: upgrade: %w", err)
	_ = http.NewResponseController(w).Flush()
	_ = s.Close()
}

// judge tells the subprotocol of a request that may go on, or how to refuse it.
func (c WSConfig) judge(r *http.Request) (subprotocol string, status int, err error) {
	if !c.serves(r.URL.Path) {
		return "", http.StatusNotFound, fmt.Errorf("nothing at %q", r.URL.Path)
	}
	if origin := r.Header.Get("Origin"); c.CheckOrigin && !c.trusts(origin) {
		return "", http.StatusForbidden, fmt.Errorf("origin %q is not allowed", origin)
	}
	if len(c.Subprotocols) == 0 {
		return "", 0, nil
	}
	offered := tokens(r.Header.Values("Sec-WebSocket-Protocol"))
	if len(offered) == 0 {
		if c.FailIfNoSubprotocol {
			return "", http.StatusBadRequest, fmt.Errorf("a subprotocol is required: one of %q", c.Subprotocols)
		}
		return "", 0, nil // to name one that was not offered ends a browser's connection
	}
	// RFC 6455 4.1: the client lists them in the order that it prefers.
	for _, p := range offered {
		if slices.ContainsFunc(c.Subprotocols, func(s string) bool { return strings.EqualFold(s, p) }) {
			return p, 0, nil
		}
	}
	return "", http.StatusBadRequest, fmt.Errorf("no supported subprotocol: want one of %q", c.Subprotocols)
}

func (c WSConfig) serves(path string) bool {
	below, ok := strings.CutSuffix(c.Path, "/*")
	return path == c.Path || ok && (path == below || strings.HasPrefix(path, below+"/"))
}

func (c WSConfig) trusts(origin string) bool {
	if origin == "" {
		return c.AllowOriginAbsence
	}
	return slices.ContainsFunc(c.Origins, func(o string) bool { return strings.EqualFold(o, origin) })
}

func tokens(values []string) (out []string) {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if t = strings.TrimSpace(t); t != "" {
				out = append(out, t)
			}
		}
	}
	return out
}

// hijacker gives the WebSocket buffers of its own, smaller ones: net/http's
// would stay with it, 8 KiB for each idle connection.
type hijacker struct {
	http.ResponseWriter
	socket *wsSocket
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	_, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, err := rw.Peek(rw.Reader.Buffered())
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	h.socket.early = bytes.Clone(early)
	return h.socket, bufio.NewReadWriter(
		bufio.NewReaderSize(h.socket, wsReadBuffer), bufio.NewWriterSize(h.socket, wsWriteBuffer)), nil
}
