package api

import (
	"errors"
	"fmt"
)

// Kind is one of the eight kinds of failure of the house. Every edge maps all
// of them to its protocol in one table (reply.go).
type Kind uint8

// The kinds. A device never sees the text of an Internal error.
const (
	Internal    Kind = iota // a fault of ours
	Denied                  // not authenticated, banned, not authorised
	Invalid                 // the request makes no sense
	NotFound                // the thing named is not there
	Conflict                // somebody else has it, or it exists already
	TooLarge                // over a limit of size
	Busy                    // over a limit of rate or number: try later
	Unavailable             // NATS or a service does not answer: try later
)

// Kinds lists all kinds, for tables and their tests.
func Kinds() []Kind {
	return []Kind{Internal, Denied, Invalid, NotFound, Conflict, TooLarge, Busy, Unavailable}
}

var kindNames = [...]string{"internal", "denied", "invalid", "not_found", "conflict", "too_large", "busy", "unavailable"}

// String is the kind in snake case, also the code in NATS micro errors.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "internal"
}

// ParseKind is the inverse of String; what is unknown is Internal.
func ParseKind(s string) Kind {
	for i, name := range kindNames {
		if name == s {
			return Kind(i)
		}
	}
	return Internal
}

// Error is an error of the house: its kind, what was being done, and why it
// failed. Text may be shown to a device unless the kind is Internal.
type Error struct {
	Kind Kind
	Op   string // "publish", "subscribe", "connect" ...
	Text string // for the peer

	cause  error
	hidden bool // the cause does not stand in Text
}

func (e *Error) Error() string {
	s := e.Text
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.hidden && e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// Errorf makes an error of the house. A %w verb keeps its cause reachable for
// errors.Is, and its text becomes part of what the peer may be told.
func Errorf(k Kind, op, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, Op: op, Text: err.Error(), cause: errors.Unwrap(err)}
}

// Wrap makes an error of the house whose cause is for logs only.
func Wrap(k Kind, op, text string, cause error) *Error {
	return &Error{Kind: k, Op: op, Text: text, cause: cause, hidden: true}
}

// KindOf tells the kind of any error; a foreign one is Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// PeerText is what a device may be told of an error.
func PeerText(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != Internal {
		return e.Text
	}
	return "internal error"
}
