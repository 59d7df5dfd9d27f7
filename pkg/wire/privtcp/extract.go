package privtcp

import (
	"errors"
	"fmt"
	"regexp"
)

// ExtractSpec tells where a frame says who sent it: by Fields, or by Regexp.
type ExtractSpec struct {
	ClientID, Username, Password Field

	// Regexp has groups (?P<clientid>...), and perhaps (?P<username>...) and
	// (?P<password>...). ASCII and \xNN, matched byte by byte. Text tells how its
	// groups are written.
	Regexp string
	Text   Text
}

// Identity is what a frame says of its sender; parts that were not asked for are
// empty. Printed, it does not show the password.
type Identity struct {
	ClientID, Username, Password string
}

// String implements fmt.Stringer.
func (i Identity) String() string { return fmt.Sprintf("{%q %q}", i.ClientID, i.Username) }

// GoString implements fmt.GoStringer.
func (i Identity) GoString() string { return "privtcp.Identity" + i.String() }

// ErrNoMatch is what From returns when the expression does not match the frame.
var ErrNoMatch = errors.New("frame does not match the login expression")

// Extract finds an Identity in a frame. It may be used concurrently.
type Extract struct {
	spec   ExtractSpec
	expr   *regexp.Regexp
	groups [3]int // of the parts in expr, 0 if absent
}

var parts = [3]string{"clientid", "username", "password"}

// NewExtract prepares an Extract. Errors name the key.
func NewExtract(spec ExtractSpec) (*Extract, error) {
	e := &Extract{spec: spec}
	fields := e.fields()
	if spec.Regexp == "" {
		if spec.Text != "" {
			return nil, fmt.Errorf("text: goes with regexp, fields have their own")
		}
		if !fields[0].set() {
			return nil, fmt.Errorf("clientid: needs a length, an until or a regexp")
		}
		for i, f := range fields {
			if err := f.validate(); err != nil {
				return nil, fmt.Errorf("%s.%w", parts[i], err)
			}
		}
		return e, nil
	}
	for i, f := range fields {
		if !f.zero() {
			return nil, fmt.Errorf("%s: cannot stand beside regexp", parts[i])
		}
	}
	if !spec.Text.known() {
		return nil, fmt.Errorf("text: %q is none of ascii, hex, bcd", spec.Text)
	}
	if err := e.compile(); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Extract) fields() [3]*Field {
	return [3]*Field{&e.spec.ClientID, &e.spec.Username, &e.spec.Password}
}

func (e *Extract) compile() error {
	expr, err := compile(e.spec.Regexp)
	if err != nil {
		return fmt.Errorf("regexp: %w", err)
	}
	for i, part := range parts {
		if group := expr.SubexpIndex(part); group > 0 {
			e.groups[i] = group
		}
	}
	if e.groups[0] == 0 {
		return fmt.Errorf("regexp: has no group (?P<clientid>...)")
	}
	e.expr = expr
	return nil
}

// From returns who a frame, as Next returned it, says that it is from. The errors
// are ErrShort, ErrNoMatch and ErrText, with the part that they are about, and do
// not hold bytes of the frame. A client id is never empty, other parts may be.
func (e *Extract) From(frame []byte) (Identity, error) {
	raw, err := e.cut(frame)
	if err != nil {
		return Identity{}, err
	}
	fields := e.fields()
	var texts [3]string
	for i, b := range raw {
		text := e.spec.Text
		if e.expr == nil {
			text = fields[i].Text
		}
		if texts[i], err = text.read(b); err != nil {
			return Identity{}, fmt.Errorf("%s: %w", parts[i], err)
		}
	}
	if texts[0] == "" {
		return Identity{}, fmt.Errorf("%s: %w: empty", parts[0], ErrText)
	}
	return Identity{ClientID: texts[0], Username: texts[1], Password: texts[2]}, nil
}

// cut returns the bytes of the three parts.
func (e *Extract) cut(frame []byte) (raw [3][]byte, err error) {
	if e.expr == nil {
		for i, f := range e.fields() {
			if raw[i], err = f.cut(frame); err != nil {
				return raw, fmt.Errorf("%s: %w", parts[i], err)
			}
		}
		return raw, nil
	}
	at := e.expr.FindReaderSubmatchIndex(&bytewise{frame})
	if at == nil {
		return raw, ErrNoMatch
	}
	for i, group := range e.groups {
		if group > 0 && at[2*group] >= 0 {
			raw[i] = frame[at[2*group]:at[2*group+1]]
		}
	}
	return raw, nil
}
