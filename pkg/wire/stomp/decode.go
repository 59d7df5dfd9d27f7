package stomp

import (
	"errors"
	"io"
)

// Decode takes the first frame off b, which may start with EOLs, and returns
// how many bytes it consumed, those EOLs included. EOLs behind the frame are
// left for the next call. When b holds nothing but EOLs it returns io.EOF and
// n = len(b), and ErrIncomplete when b ends inside a frame.
//
// Decode keeps no reference to b. Errors other than these two come as from
// [Reader.Read], with n = 0.
func Decode(b []byte, v Version, l Limits) (f Frame, n int, err error) {
	skipped, err := skipEOLs(b)
	if err != nil {
		return Frame{}, 0, err
	}
	if skipped == len(b) {
		return Frame{}, skipped, io.EOF
	}
	b = b[skipped:]
	s := newScanner(v, l.withDefaults())
	size, err := s.scan(b)
	if errors.Is(err, ErrIncomplete) {
		return Frame{}, 0, err
	}
	f, err = s.frame(b, err)
	if err != nil {
		return f, 0, err
	}
	return f, skipped + size, nil
}
