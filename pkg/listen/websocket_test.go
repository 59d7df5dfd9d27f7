package listen

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// wsDial connects; the status tells how the upgrade was refused.
func (x *house) wsDial(t *testing.T, conf *tls.Config, path string, o *websocket.DialOptions) (c *websocket.Conn, status int, err error) {
	t.Helper()
	if o == nil {
		o = &websocket.DialOptions{}
	}
	tr := &http.Transport{TLSClientConfig: conf}
	t.Cleanup(tr.CloseIdleConnections)
	o.HTTPClient = &http.Client{Transport: tr}
	scheme := "ws://"
	if x.state.Load().tls != nil {
		scheme = "wss://"
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, resp, err := websocket.Dial(ctx, scheme+x.Addr().String()+path, o)
	if err == nil {
		t.Cleanup(func() { _ = c.CloseNow() })
	}
	if resp != nil {
		status = resp.StatusCode
		if resp.Body != nil {
			_ = resp.Body.Close()
		}
	}
	return c, status, err
}

func (x *house) dialWS(t *testing.T, conf *tls.Config) net.Conn {
	t.Helper()
	c, _, err := x.wsDial(t, conf, "/", nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return websocket.NetConn(ctx, c, websocket.MessageText)
}

func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestServesWebSocket(t *testing.T) {
	a := newAuthority(t)
	for _, typ := range []string{WS, WSS} {
		t.Run(typ, func(t *testing.T) {
			seen := make(chan *Conn, 1)
			x := start(t, a.server(typ), func(ctx context.Context, c *Conn) {
				seen <- c
				echo(ctx, c)
			})
			nc := x.dialWS(t, a.client())
			ping(t, nc, "hello")
			ping(t, nc, strings.Repeat("a longer one, past all buffers ", 1000))
			c := <-seen
			_, encrypted := c.TLS()
			require.Equal(t, typ == WSS, encrypted)
			require.Equal(t, "/", c.Path)
			require.NotEmpty(t, c.LocalAddr().String())
			require.NoError(t, nc.Close())
			require.Eventually(t, func() bool { return x.Current() == 0 }, patience, time.Millisecond)
		})
	}
}

// TestMessagesAreAByteStream: a frame split over messages of both types and over
// fragments, several frames in one message, empty messages.
func TestMessagesAreAByteStream(t *testing.T) {
	got := make(chan string, 1)
	x := start(t, config(WS), func(_ context.Context, c *Conn) {
		b, err := io.ReadAll(c)
		if err != nil {
			got <- err.Error()
			return
		}
		got <- string(b)
	})
	c, _, err := x.wsDial(t, nil, "/", nil)
	require.NoError(t, err)
	ctx := patient(t)
	require.NoError(t, c.Write(ctx, websocket.MessageText, []byte("CONNE")))
	require.NoError(t, c.Write(ctx, websocket.MessageBinary, []byte("CT\n\n\x00\xff")))
	require.NoError(t, c.Write(ctx, websocket.MessageBinary, nil))
	require.NoError(t, c.Write(ctx, websocket.MessageText, []byte("SEND\n\n\x00SEND\n\n\x00")))
	w, err := c.Writer(ctx, websocket.MessageBinary)
	require.NoError(t, err)
	for _, part := range []string{"f", "rag", strings.Repeat("m", 70000), "ents"} {
		_, err = io.WriteString(w, part)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
	require.Equal(t, "CONNECT\n\n\x00\xffSEND\n\n\x00SEND\n\n\x00frag"+strings.Repeat("m", 70000)+"ents", <-got)
}

func TestOneMessageAWrite(t *testing.T) {
	for _, tc := range []struct {
		kind, word string
		want       websocket.MessageType
	}{
		{MessageAuto, "text \u00e9", websocket.MessageText},
		{MessageAuto, "\xff\xfe", websocket.MessageBinary},
		{MessageText, "\xff\xfe", websocket.MessageText},
		{MessageBinary, "text", websocket.MessageBinary},
		{"", strings.Repeat("x", 5000), websocket.MessageText},
	} {
		conf := config(WS)
		conf.WebSocket.MessageType = tc.kind
		x := start(t, conf, func(_ context.Context, c *Conn) {
			_, _ = io.WriteString(c, tc.word)
			n, err := c.Write(nil) // is no message
			if n != 0 || err != nil {
				panic(err)
			}
			_, _ = io.WriteString(c, tc.word)
			_, _ = io.Copy(io.Discard, c)
		})
		c, _, err := x.wsDial(t, nil, "/", nil)
		require.NoError(t, err)
		for range 2 {
			typ, b, err := c.Read(patient(t))
			require.NoError(t, err)
			require.Equal(t, tc.want, typ)
			require.Equal(t, tc.word, string(b))
		}
		require.NoError(t, c.Close(websocket.StatusNormalClosure, ""))
	}
}

func TestEarlyBytesAreKept(t *testing.T) {
	x := start(t, config(WS), echo)
	nc := x.dial(t)
	frame := []byte{0x82, 0x80 | 5, 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'}
	_, err := nc.Write(append([]byte("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"), frame...))
	require.NoError(t, err)
	r := bufio.NewReader(nc)
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	_ = resp.Body.Close()
	got := make([]byte, 7)
	_, err = io.ReadFull(r, got)
	require.NoError(t, err)
	require.Equal(t, "\x81\x05hello", string(got))
}

func TestUpgradeIsRefused(t *testing.T) {
	conf := config(WS)
	conf.WebSocket.Path = "/stomp/*"
	conf.WebSocket.Subprotocols = []string{"v10.stomp", "v12.stomp"}
	conf.WebSocket.FailIfNoSubprotocol = true
	conf.WebSocket.CheckOrigin = true
	conf.WebSocket.Origins = []string{"https://app.example.com"}
	x := start(t, conf, echo)
	good := []string{"v12.stomp"}
	n := 0
	for _, tc := range []struct {
		path, origin string
		protocols    []string
		status       int
	}{
		{"/", "", good, http.StatusNotFound},
		{"/stompx", "", good, http.StatusNotFound},
		{"/stomp", "", nil, http.StatusBadRequest},
		{"/stomp", "", []string{"mqtt"}, http.StatusBadRequest},
		{"/stomp", "https://evil.example.com", good, http.StatusForbidden},
		{"/stomp", "http://app.example.com", good, http.StatusForbidden},
		{"/stomp", "null", good, http.StatusForbidden},
		{"/stomp", "", good, 0},
		{"/stomp/", "HTTPS://app.example.com", good, 0},
		{"/stomp/dev-1", "https://app.example.com", []string{"mqtt", "V12.STOMP", "v10.stomp"}, 0},
	} {
		o := &websocket.DialOptions{Subprotocols: tc.protocols, HTTPHeader: http.Header{}}
		if tc.origin != "" {
			o.HTTPHeader.Set("Origin", tc.origin)
		}
		c, status, err := x.wsDial(t, nil, tc.path, o)
		if tc.status == 0 {
			require.NoError(t, err, tc.path)
			require.Equal(t, "v12.stomp", strings.ToLower(c.Subprotocol()), "the client's order")
			continue
		}
		n++
		require.Error(t, err)
		require.Equal(t, tc.status, status, err)
		x.waitRejected(t, RejectHandshake, n)
	}
}

func TestOriginAbsence(t *testing.T) {
	c := WSConfig{CheckOrigin: true, Origins: []string{"https://a"}, Path: "/"}
	require.False(t, c.trusts(""))
	c.AllowOriginAbsence = true
	require.True(t, c.trusts(""))
}

func TestNoSubprotocolAsked(t *testing.T) {
	conf := config(WS)
	conf.WebSocket.Subprotocols = []string{"v12.stomp"}
	x := start(t, conf, echo)
	c, _, err := x.wsDial(t, nil, "/", nil)
	require.NoError(t, err)
	require.Empty(t, c.Subprotocol())
}

func TestUpdateOfWebSocketOptions(t *testing.T) {
	conf := config(WS)
	x := start(t, conf, echo)
	before := x.dialWS(t, nil)
	conf.WebSocket.Path = "/new"
	restart, err := x.Update(conf)
	require.NoError(t, err)
	require.False(t, restart)
	ping(t, before, "hello")
	_, status, err := x.wsDial(t, nil, "/", nil)
	require.Error(t, err)
	require.Equal(t, http.StatusNotFound, status)
	_, _, err = x.wsDial(t, nil, "/new", nil)
	require.NoError(t, err)
}

func TestNotAWebSocketRequest(t *testing.T) {
	x := start(t, config(WS), echo)
	for i, tc := range []struct{ request, status string }{
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426"},
		{"CONNECT\naccept-version:1.2\n\n\x00\r\n\r\n", "HTTP/1.1 400"},
		{"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", "HTTP/1.1 431"},
	} {
		nc := x.dial(t)
		_, err := io.WriteString(nc, tc.request)
		require.NoError(t, err)
		line, err := bufio.NewReader(nc).ReadString('\n')
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(line, tc.status), line)
		gone(t, nc)
		x.waitRejected(t, RejectHandshake, i+1)
	}
}

func TestUpgradeStallIsEnded(t *testing.T) {
	conf := config(WS)
	conf.HandshakeTimeout = time.Second
	x := start(t, conf, echo)
	slow := x.dial(t)
	_, err := io.WriteString(slow, "GET / HTTP/1.1\r\nHost: x\r\n")
	require.NoError(t, err)
	ping(t, x.dialWS(t, nil), "at once")
	gone(t, slow)
	x.waitRejected(t, RejectHandshake, 1)
}

func TestMaxFrameSize(t *testing.T) {
	conf := config(WS)
	conf.WebSocket.MaxFrameSize = 1024
	x := start(t, conf, echo)
	c, _, err := x.wsDial(t, nil, "/", nil)
	require.NoError(t, err)
	ctx := patient(t)
	for range 3 { // each message for itself
		require.NoError(t, c.Write(ctx, websocket.MessageText, make([]byte, 1024)))
		_, b, err := c.Read(ctx)
		require.NoError(t, err)
		require.Len(t, b, 1024)
	}
	require.NoError(t, c.Write(ctx, websocket.MessageText, make([]byte, 1025)))
	for err == nil {
		_, _, err = c.Read(ctx)
	}
	require.Equal(t, websocket.StatusMessageTooBig, websocket.CloseStatus(err), err)
}

// alone gives one server-side WebSocket to f.
func alone(t *testing.T, typ string, f func(c *Conn)) *websocket.Conn {
	t.Helper()
	a := newAuthority(t)
	done := make(chan struct{})
	x := start(t, a.server(typ), func(_ context.Context, c *Conn) {
		defer close(done)
		f(c)
	})
	c, _, err := x.wsDial(t, a.client(), "/", nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = c.CloseNow()
		<-done
	})
	return c
}

func TestReadDeadline(t *testing.T) {
	for _, typ := range []string{WS, WSS} {
		errs := make(chan error, 4)
		c := alone(t, typ, func(c *Conn) {
			buf := make([]byte, 16)
			_, err := c.Read(nil)
			errs <- err
			timer := time.AfterFunc(10*time.Millisecond, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
			defer timer.Stop()
			_, err = c.Read(buf)
			errs <- err
			_ = c.SetReadDeadline(time.Time{})
			_, err = c.Read(buf)
			errs <- err
			_, err = io.WriteString(c, "writing goes on")
			errs <- err
		})
		require.NoError(t, <-errs)
		require.Equal(t, os.ErrDeadlineExceeded, <-errs)
		require.Equal(t, os.ErrDeadlineExceeded, <-errs, "for good")
		require.NoError(t, <-errs)
		_, b, err := c.Read(patient(t))
		require.NoError(t, err)
		require.Equal(t, "writing goes on", string(b))
	}
}

func TestWriteDeadline(t *testing.T) {
	for _, typ := range []string{WS, WSS} {
		errs := make(chan error, 3)
		c := alone(t, typ, func(c *Conn) {
			_ = c.SetWriteDeadline(time.Unix(1, 0))
			_, err := io.WriteString(c, "too late")
			errs <- err
			_ = c.SetDeadline(time.Time{})
			_, err = io.WriteString(c, "in time")
			errs <- err
			// The peer reads no more: the buffers fill, and hurry comes from outside.
			timer := time.AfterFunc(100*time.Millisecond, func() { _ = c.SetWriteDeadline(time.Now()) })
			defer timer.Stop()
			for err == nil {
				_, err = c.Write(make([]byte, 1<<20))
			}
			errs <- err
		})
		require.Equal(t, os.ErrDeadlineExceeded, <-errs)
		require.NoError(t, <-errs)
		_, b, err := c.Read(patient(t))
		require.NoError(t, err)
		require.Equal(t, "in time", string(b))
		require.Equal(t, os.ErrDeadlineExceeded, <-errs)
	}
}

// TestPongAfterAWriteDeadline: an edge leaves its last write deadline behind;
// what Read answers by itself does not suffer.
func TestPongAfterAWriteDeadline(t *testing.T) {
	past := make(chan struct{})
	c := alone(t, WS, func(c *Conn) {
		_ = c.SetWriteDeadline(time.Now().Add(5 * time.Millisecond))
		if _, err := io.WriteString(c, "x"); err != nil {
			return
		}
		time.AfterFunc(20*time.Millisecond, func() { close(past) })
		_, _ = io.Copy(io.Discard, c)
	})
	_, _, err := c.Read(patient(t))
	require.NoError(t, err)
	<-past
	ctx := c.CloseRead(patient(t))
	require.NoError(t, c.Ping(ctx))
}

func TestWebSocketCloseWriteSaysGoodbye(t *testing.T) {
	reads := make(chan error, 1)
	c := alone(t, WS, func(c *Conn) {
		go func() {
			_, err := io.Copy(io.Discard, c)
			reads <- err
		}()
		_, _ = io.WriteString(c, "ERROR")
		_ = c.CloseWrite()
	})
	ctx := patient(t)
	_, b, err := c.Read(ctx)
	require.NoError(t, err)
	require.Equal(t, "ERROR", string(b))
	_, _, err = c.Read(ctx)
	require.Equal(t, websocket.StatusNormalClosure, websocket.CloseStatus(err), err)
	err = <-reads
	require.True(t, err == nil || errors.Is(err, net.ErrClosed), err)
}

func TestCloseDoesNotWaitForADeadPeer(t *testing.T) {
	took := make(chan time.Duration, 1)
	alone(t, WS, func(c *Conn) { // the client never reads
		begin := time.Now()
		_ = c.Close()
		took <- time.Since(begin)
	})
	require.Less(t, <-took, 2*wsGoodbye)
}

func TestPeerVanishes(t *testing.T) {
	errs := make(chan error, 1)
	c := alone(t, WS, func(c *Conn) {
		_, err := io.ReadAll(c)
		errs <- err
	})
	require.NoError(t, c.CloseNow())
	require.NoError(t, <-errs, "io.EOF, as from TCP")
}
