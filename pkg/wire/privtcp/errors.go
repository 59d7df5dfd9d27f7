package privtcp

import "errors"

// ErrIncomplete is what Next returns when it needs another chunk.
var ErrIncomplete = errors.New("incomplete frame")

// Reasons of a [Fault]; match them with errors.Is.
var (
	ErrTooLong  = errors.New("frame exceeds max")
	ErrLength   = errors.New("length field says less than the frame must have")
	ErrChecksum = errors.New("wrong checksum")
	ErrEscape   = errors.New("byte inside a frame that must be escaped")
	ErrCut      = errors.New("start mark inside a frame")
)

// ErrNotEncodable is what Append returns for a payload that the framing cannot
// carry: a delimiter inside, a length that does not fit.
var ErrNotEncodable = errors.New("payload does not fit the framing")

// ErrShort is what Extract and Template return when a frame ends before the bytes
// that they are to take.
var ErrShort = errors.New("frame too short")

// Fault is a frame that was refused. The text never holds bytes of the frame.
type Fault struct {
	Reason error
	// Lost tells that nothing says where the next frame begins: Next returns this
	// Fault for ever. Otherwise the frame was dropped and Next goes on.
	Lost bool
}

// Error implements error.
func (f *Fault) Error() string {
	if f.Lost {
		return "stream out of step: " + f.Reason.Error()
	}
	return "frame dropped: " + f.Reason.Error()
}

// Unwrap returns the reason.
func (f *Fault) Unwrap() error { return f.Reason }
