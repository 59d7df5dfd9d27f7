package stomp

import "errors"

// ErrIncomplete is returned by Decode when b ends inside a frame.
var ErrIncomplete = errors.New("incomplete frame")

// The two families of refusals; match them with errors.Is. After either the
// stream is out of step: answer ERROR and close.
var (
	ErrSyntax   = errors.New("malformed frame")
	ErrTooLarge = errors.New("frame exceeds a limit")
)

// Limits exceeded; each also matches ErrTooLarge.
var (
	ErrTooManyHeaders error = &reason{ErrTooLarge, "too many headers"}
	ErrHeaderTooLong  error = &reason{ErrTooLarge, "header too long"}
	ErrBodyTooLong    error = &reason{ErrTooLarge, "body too long"}
)

// Malformed input; each also matches ErrSyntax.
var (
	ErrUnknownCommand   error = &reason{ErrSyntax, "unknown command"}
	ErrBadCR            error = &reason{ErrSyntax, "carriage return without line feed"}
	ErrNULInHeader      error = &reason{ErrSyntax, "nul byte before the end of the headers"}
	ErrBadHeader        error = &reason{ErrSyntax, "header line without colon"}
	ErrEmptyHeaderName  error = &reason{ErrSyntax, "empty header name"}
	ErrBadEscape        error = &reason{ErrSyntax, "undefined escape sequence"}
	ErrBadContentLength error = &reason{ErrSyntax, "bad content-length"}
	ErrMissingNUL       error = &reason{ErrSyntax, "no nul byte after the body"}
	ErrUnexpectedBody   error = &reason{ErrSyntax, "command does not allow a body"}
	ErrBadHeartBeat     error = &reason{ErrSyntax, "bad heart-beat"}
)

// ErrNotEncodable is returned by Append for a header of a CONNECT, STOMP or
// CONNECTED frame that cannot be written, as those frames know no escapes.
var ErrNotEncodable = errors.New("header cannot be encoded")

// reason is a sentinel that belongs to a family.
type reason struct {
	family error
	text   string
}

func (r *reason) Error() string { return r.text }
func (r *reason) Unwrap() error { return r.family }
