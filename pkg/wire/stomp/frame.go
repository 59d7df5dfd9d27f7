package stomp

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Header is one header line, unescaped.
type Header struct {
	Name, Value string
}

// Frame is one STOMP frame. Headers stand in wire order with repetitions;
// names and values are unescaped and, against the letter of 1.1 and 1.2, not
// checked to be UTF-8. A frame without a body has a nil Body.
type Frame struct {
	Command string
	Headers []Header
	Body    []byte
}

// Get returns the value of the first header called name, or "".
func (f Frame) Get(name string) string {
	value, _ := f.Lookup(name)
	return value
}

// Lookup returns the value of the first header called name and whether there
// is one. Of repeated headers only the first counts
// (STOMP 1.2 "Repeated Header Entries").
func (f Frame) Lookup(name string) (value string, ok bool) {
	for i := range f.Headers {
		if f.Headers[i].Name == name {
			return f.Headers[i].Value, true
		}
	}
	return "", false
}

// String tells the shape of the frame and none of its contents, so that a
// frame printed by accident betrays no passcode.
func (f Frame) String() string {
	return fmt.Sprintf("%s (%d headers, %d bytes)", f.Command, len(f.Headers), len(f.Body))
}

// GoString does for %#v what String does for %v.
func (f Frame) GoString() string { return "stomp.Frame{" + f.String() + "}" }

// MarshalJSON renders the frame for tools and traces: headers as pairs to keep
// order and repetitions, the body as text, or as body_hex when it is not
// UTF-8. The value of a passcode header is shown as "***".
func (f Frame) MarshalJSON() ([]byte, error) {
	out := struct {
		Command string      `json:"command"`
		Headers [][2]string `json:"headers"`
		Body    *string     `json:"body,omitempty"`
		BodyHex string      `json:"body_hex,omitempty"`
	}{Command: f.Command, Headers: make([][2]string, len(f.Headers))}
	for i, h := range f.Headers {
		out.Headers[i] = [2]string{h.Name, h.Value}
		// Looser than the protocol on purpose: " Passcode" is a typo that
		// still holds somebody's secret.
		if strings.EqualFold(strings.TrimSpace(h.Name), headerPasscode) {
			out.Headers[i][1] = "***"
		}
	}
	if utf8.Valid(f.Body) {
		text := string(f.Body)
		out.Body = &text
	} else {
		out.BodyHex = hex.EncodeToString(f.Body)
	}
	return json.Marshal(out)
}
