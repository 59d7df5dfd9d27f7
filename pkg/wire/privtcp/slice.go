package privtcp

import (
	"fmt"
	"strconv"
	"strings"
)

// slice is a cut of a frame, as [a:b] or [a].
type slice struct {
	from, to       int
	hasFrom, hasTo bool
	one            bool // [a]: the byte from
}

// parseSlice reads what follows the opening bracket.
func parseSlice(text string) (s slice, err error) {
	text, ok := strings.CutSuffix(text, "]")
	if !ok {
		return s, fmt.Errorf("[ without ]")
	}
	from, to, two := strings.Cut(text, ":")
	s.one = !two
	if s.from, s.hasFrom, err = parseIndex(from); err != nil {
		return s, err
	}
	if s.to, s.hasTo, err = parseIndex(to); err != nil {
		return s, err
	}
	switch {
	case s.one && !s.hasFrom:
		return s, fmt.Errorf("[] needs a number")
	case s.hasTo && s.hasFrom && (s.from < 0) == (s.to < 0) && s.to <= s.from:
		return s, fmt.Errorf("the end must lie behind the beginning")
	}
	return s, nil
}

func parseIndex(text string) (n int, has bool, err error) {
	if text == "" {
		return 0, false, nil
	}
	n, err = strconv.Atoi(text)
	if err != nil || n < -ceiling || n > ceiling {
		return 0, false, fmt.Errorf("%q is no position", text)
	}
	return n, true, nil
}

// of cuts a frame, or tells that it is too short. Unlike slices elsewhere an end
// beyond the frame is not brought back: an answer must not lack bytes.
func (s slice) of(frame []byte) ([]byte, bool) {
	from, to := s.from, len(frame)
	if from < 0 {
		from += len(frame)
	}
	switch {
	case s.one:
		to = from + 1
	case s.hasTo && s.to < 0:
		to += s.to
	case s.hasTo:
		to = s.to
	}
	if from < 0 || to < from || to > len(frame) {
		return nil, false
	}
	return frame[from:to], true
}
