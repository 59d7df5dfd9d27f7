package sim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"sluice/pkg/wire/stomp"
)

// STOMPOptions say how a simulated STOMP device connects.
type STOMPOptions struct {
	Version   string // accept-version, default "1.2"
	ClientID  string
	Login     string
	Passcode  string
	HeartBeat string // "cx,cy"
	Dial      func(ctx context.Context) (net.Conn, error)
}

// STOMP is a device. Receipts and errors are matched by a goroutine of its own,
// which Close ends; messages come on Messages.
type STOMP struct {
	Connected stomp.Frame
	Messages  chan stomp.Frame // closed when the connection has ended

	conn    net.Conn
	version stomp.Version
	done    chan struct{}

	mu       sync.Mutex
	buf      []byte
	receipts map[string]chan error
	next     int
	err      error
}

// RefusedError is an ERROR frame.
type RefusedError struct{ Frame stomp.Frame }

func (e *RefusedError) Error() string {
	return "stomp: ERROR " + e.Frame.Get("message") + ": " + string(e.Frame.Body)
}

// ErrGone is what waits see when the connection has ended without an ERROR.
var ErrGone = errors.New("sim: connection ended")

// DialSTOMP connects and waits for CONNECTED.
func DialSTOMP(ctx context.Context, o STOMPOptions) (*STOMP, error) {
	conn, err := o.Dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	s := &STOMP{conn: conn, done: make(chan struct{}), Messages: make(chan stomp.Frame, 4096), receipts: map[string]chan error{}}
	if err := s.connect(o); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *STOMP) connect(o STOMPOptions) error {
	if o.Version == "" {
		o.Version = "1.2"
	}
	f := stomp.Frame{Command: stomp.CmdConnect, Headers: []stomp.Header{{Name: "accept-version", Value: o.Version}, {Name: "host", Value: "sluice"}}}
	for _, h := range []stomp.Header{{Name: "client-id", Value: o.ClientID}, {Name: "login", Value: o.Login}, {Name: "passcode", Value: o.Passcode}, {Name: "heart-beat", Value: o.HeartBeat}} {
		if h.Value != "" {
			f.Headers = append(f.Headers, h)
		}
	}
	if err := s.Send(f); err != nil {
		return err
	}
	r := stomp.NewReader(s.conn, stomp.Limits{MaxHeaders: 100, MaxHeaderLength: 8192, MaxBodyLength: 16 << 20})
	answer, err := r.Read()
	if err != nil {
		return fmt.Errorf("sim: no answer to CONNECT: %w", err)
	}
	if answer.Command != stomp.CmdConnected {
		return &RefusedError{answer}
	}
	s.Connected = answer
	if v, ok := stomp.ParseVersion(answer.Get("version")); ok {
		s.version = v
		r.SetVersion(v)
	}
	go s.read(r)
	return nil
}

func (s *STOMP) read(r *stomp.Reader) {
	defer close(s.done)
	defer close(s.Messages)
	for {
		f, err := r.Read()
		if err != nil {
			s.fail(fmt.Errorf("%w: %w", ErrGone, err))
			return
		}
		switch f.Command {
		case stomp.CmdMessage:
			s.Messages <- f
		case stomp.CmdReceipt:
			s.settle(f.Get("receipt-id"), nil)
		case stomp.CmdError:
			s.fail(&RefusedError{f})
		}
	}
}

func (s *STOMP) settle(id string, err error) {
	s.mu.Lock()
	ch := s.receipts[id]
	delete(s.receipts, id)
	s.mu.Unlock()
	if ch != nil {
		ch <- err
	}
}

// fail ends all waits; the first reason stands.
func (s *STOMP) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	for id, ch := range s.receipts {
		ch <- s.err
		delete(s.receipts, id)
	}
}

// Send writes one frame.
func (s *STOMP) Send(f stomp.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := f.Append(s.buf[:0], s.version)
	if err != nil {
		return err
	}
	s.buf = b
	_, err = s.conn.Write(b)
	return err
}

// Async writes a frame with a receipt; the channel tells when it has come.
func (s *STOMP) Async(f stomp.Frame) (<-chan error, error) {
	ch := make(chan error, 1)
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return nil, s.err
	}
	s.next++
	id := strconv.Itoa(s.next)
	s.receipts[id] = ch
	s.mu.Unlock()
	f.Headers = append(f.Headers[:len(f.Headers):len(f.Headers)], stomp.Header{Name: "receipt", Value: id})
	return ch, s.Send(f)
}

// Do is Async and waits.
func (s *STOMP) Do(ctx context.Context, f stomp.Frame) error {
	ch, err := s.Async(f)
	if err != nil {
		return err
	}
	select {
	case err := <-ch:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Frame makes a frame of name, value pairs.
func Frame(command string, body []byte, headers ...string) stomp.Frame {
	f := stomp.Frame{Command: command, Body: body}
	for i := 0; i+1 < len(headers); i += 2 {
		f.Headers = append(f.Headers, stomp.Header{Name: headers[i], Value: headers[i+1]})
	}
	return f
}

// Publish sends and waits for the receipt.
func (s *STOMP) Publish(ctx context.Context, destination string, body []byte) error {
	return s.Do(ctx, Frame(stomp.CmdSend, body, "destination", destination))
}

// Subscribe subscribes and waits for the receipt.
func (s *STOMP) Subscribe(ctx context.Context, id, destination string, headers ...string) error {
	return s.Do(ctx, Frame(stomp.CmdSubscribe, nil, append([]string{"id", id, "destination", destination}, headers...)...))
}

// Ack acknowledges a MESSAGE by the rule of the version.
func (s *STOMP) Ack(ctx context.Context, m stomp.Frame) error {
	return s.Do(ctx, s.AckFrame(m))
}

// AckFrame is the ACK of a MESSAGE.
func (s *STOMP) AckFrame(m stomp.Frame) stomp.Frame { return s.answer(stomp.CmdAck, m) }

// Nack refuses a MESSAGE.
func (s *STOMP) Nack(ctx context.Context, m stomp.Frame) error {
	return s.Do(ctx, s.answer(stomp.CmdNack, m))
}

func (s *STOMP) answer(command string, m stomp.Frame) stomp.Frame {
	if s.version == stomp.V12 {
		return Frame(command, nil, "id", m.Get("ack"))
	}
	return Frame(command, nil, "message-id", m.Get("message-id"), "subscription", m.Get("subscription"))
}

// Next waits for a MESSAGE.
func (s *STOMP) Next(ctx context.Context) (stomp.Frame, error) {
	select {
	case f, ok := <-s.Messages:
		if !ok {
			return f, s.Err()
		}
		return f, nil
	case <-ctx.Done():
		return stomp.Frame{}, context.Cause(ctx)
	}
}

// Err is why the connection ended, nil while it lives.
func (s *STOMP) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Ended is closed when the server has closed the connection.
func (s *STOMP) Ended() <-chan struct{} { return s.done }

// Disconnect says goodbye and waits for the receipt.
func (s *STOMP) Disconnect(ctx context.Context) error {
	err := s.Do(ctx, Frame(stomp.CmdDisconnect, nil))
	return errors.Join(err, s.Close())
}

// Close cuts the connection, as a device that lost its network would.
func (s *STOMP) Close() error {
	err := s.conn.Close()
	<-s.done
	return err
}
