package stomp

import (
	"errors"
	"fmt"

	"sluice/pkg/api"
	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

// refusal is an error with what the device is told of it. Every ERROR frame
// closes the connection (STOMP 1.2 "ERROR").
type refusal struct {
	kind    api.Kind
	text    string         // for the message header and the body
	headers []stomp.Header // further ones
	receipt string         // of the frame that is refused
	cause   error          // why the connection ends, for the door
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.cause }

// violation is a refusal of a frame that breaks the protocol.
func violation(format string, args ...any) *refusal {
	return &refusal{kind: api.Invalid, text: fmt.Sprintf(format, args...), cause: gateway.ErrProtocol}
}

// excess is a refusal of what is over a limit of ours.
func excess(kind api.Kind, format string, args ...any) *refusal {
	return &refusal{kind: kind, text: fmt.Sprintf(format, args...), cause: gateway.ErrProtocol}
}

// of returns the refusal with the receipt-id of the frame it answers.
func (r *refusal) of(receipt string) *refusal {
	r.receipt = receipt
	return r
}

// advice is the one table from the kinds of the house to words for a device.
func advice(k api.Kind) string {
	switch k {
	case api.Denied:
		return "The server does not allow this."
	case api.Invalid:
		return "The server does not understand this; sending it again will not help."
	case api.NotFound:
		return "There is no such thing."
	case api.Conflict:
		return "Something else is in the way."
	case api.TooLarge:
		return "This is over a limit of the server."
	case api.Busy:
		return "This is more than the server takes at once; try later."
	case api.Unavailable:
		return "The server cannot do this now; try later."
	case api.Internal:
	}
	return "The server has failed; the device is not to blame."
}

// doorError makes a refusal of an error of the door. what says what was tried.
func doorError(err error, what, name string) *refusal {
	r := &refusal{kind: api.KindOf(err), cause: err}
	if r.kind == api.Denied {
		r.text = "Insufficient permissions for " + name // as EMQX says it
	} else {
		r.text = what + " " + name + ": " + api.PeerText(err)
	}
	return r
}

// loginError makes a refusal of the door's answer to Connect.
func loginError(err error) *refusal {
	r := &refusal{kind: api.KindOf(err), cause: err}
	text := api.PeerText(err)
	if errors.Is(err, errLoginTimeout) {
		r.kind, text = api.Unavailable, errLoginTimeout.Error()
	}
	r.text = "Login Failed: " + text
	return r
}

// farewells are the reasons with which the house ends a connection.
func farewells() []error {
	return []error{
		gateway.ErrTakenOver, gateway.ErrKicked, gateway.ErrBanned, gateway.ErrExpired,
		gateway.ErrLeaseLost, gateway.ErrShutdown, gateway.ErrKeepalive, gateway.ErrIdle,
	}
}

// replyFor is what a device is told at the end; ok is false when there is
// nothing to say, or nobody who listens.
func replyFor(err error) (r *refusal, ok bool) {
	if err == nil || errors.Is(err, errGoodbye) || errors.Is(err, gateway.ErrClosed) || errors.Is(err, gateway.ErrSlow) {
		return nil, false
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return r, true
	}
	for _, known := range farewells() {
		if errors.Is(err, known) {
			return &refusal{kind: farewellKind(known), text: known.Error(), cause: err}, true
		}
	}
	return &refusal{kind: api.KindOf(err), text: api.PeerText(err), cause: err}, true
}

func farewellKind(err error) api.Kind {
	switch {
	case errors.Is(err, gateway.ErrShutdown), errors.Is(err, gateway.ErrLeaseLost):
		return api.Unavailable
	case errors.Is(err, gateway.ErrTakenOver):
		return api.Conflict
	case errors.Is(err, gateway.ErrKeepalive), errors.Is(err, gateway.ErrIdle):
		return api.Invalid
	}
	return api.Denied
}

// frame is the ERROR frame (STOMP 1.2 "ERROR").
func (r *refusal) frame() stomp.Frame {
	f := stomp.Frame{Command: stomp.CmdError, Body: []byte(r.text + "\n" + advice(r.kind) + "\n")}
	f.Headers = append(f.Headers, stomp.Header{Name: "message", Value: clip(r.text)})
	if r.receipt != "" {
		f.Headers = append(f.Headers, stomp.Header{Name: "receipt-id", Value: r.receipt})
	}
	f.Headers = append(f.Headers, r.headers...)
	f.Headers = append(f.Headers, stomp.Header{Name: "content-type", Value: "text/plain;charset=utf-8"})
	return f
}

const maxMessage = 256

func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return s[:maxMessage-3] + "..."
}
