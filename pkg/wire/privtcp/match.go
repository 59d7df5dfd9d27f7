package privtcp

import (
	"bytes"
	"fmt"
	"regexp"
)

// MatchSpec tells which frames are meant, in one of three ways.
type MatchSpec struct {
	Prefix []byte // frames that begin so
	Exact  []byte // this frame
	Regexp string // frames in which it matches; ASCII and \xNN, byte by byte
}

// Match tells frames of a sort, such as heartbeats, from others. The nil Match
// matches none.
type Match struct {
	prefix, exact []byte
	expr          *regexp.Regexp
}

// NewMatch prepares a Match. Exactly one key of spec must be set.
func NewMatch(spec MatchSpec) (*Match, error) {
	set := 0
	for _, is := range []bool{len(spec.Prefix) > 0, len(spec.Exact) > 0, spec.Regexp != ""} {
		if is {
			set++
		}
	}
	if set != 1 {
		return nil, fmt.Errorf("exactly one of prefix, exact, regexp must be set")
	}
	m := &Match{prefix: spec.Prefix, exact: spec.Exact}
	if spec.Regexp != "" {
		expr, err := compile(spec.Regexp)
		if err != nil {
			return nil, fmt.Errorf("regexp: %w", err)
		}
		m.expr = expr
	}
	return m, nil
}

// Matches tells whether a frame, as Next returned it, is meant.
func (m *Match) Matches(frame []byte) bool {
	switch {
	case m == nil:
		return false
	case m.expr != nil:
		return m.expr.MatchReader(&bytewise{frame})
	case len(m.exact) > 0:
		return bytes.Equal(frame, m.exact)
	}
	return bytes.HasPrefix(frame, m.prefix)
}
