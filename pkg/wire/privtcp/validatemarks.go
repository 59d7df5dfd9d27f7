package privtcp

import (
	"bytes"
	"fmt"
)

func (f *Framing) validateMarks() error {
	if len(f.End) == 0 {
		return fmt.Errorf("end: must not be empty")
	}
	if len(f.Start)+len(f.End)+f.after() >= f.max() {
		return fmt.Errorf("max: %d leaves no room between the marks", f.max())
	}
	if !f.shared() && f.restarts() && clash(f.Start, f.End) {
		return fmt.Errorf("end: begins as start does, or the other way round")
	}
	for i, e := range f.Escapes {
		if err := f.validateEscape(i, e); err != nil {
			return fmt.Errorf("escapes[%d].%w", i, err)
		}
	}
	return nil
}

func (f *Framing) validateEscape(i int, e Escape) error {
	switch {
	case len(e.From) == 0:
		return fmt.Errorf("from: must not be empty")
	case len(e.To) < len(e.From):
		return fmt.Errorf("to: must not be shorter than from")
	case clash(e.To, f.End):
		return fmt.Errorf("to: begins as end does, or the other way round")
	case f.restarts() && clash(e.To, f.Start):
		return fmt.Errorf("to: begins as start does, or the other way round")
	}
	for _, other := range f.Escapes[:i] {
		if clash(e.From, other.From) {
			return fmt.Errorf("from: begins as another escape does, or the other way round")
		}
		if clash(e.To, other.To) {
			return fmt.Errorf("to: begins as another escape does, or the other way round")
		}
	}
	return nil
}

// clash tells whether one begins with the other, so that a reader who has the
// shorter cannot tell which it is.
func clash(a, b []byte) bool {
	return bytes.HasPrefix(a, b) || bytes.HasPrefix(b, a)
}
