package stomp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/stomp"
)

func TestAppend(t *testing.T) {
	headers := []stomp.Header{
		{Name: "content-length", Value: "999"},
		{Name: "k", Value: "a\nb:c\\d\re\x00f"},
		{Name: "n:\n\\\r", Value: ""},
		{Name: "content-length", Value: "1"},
		{Name: "", Value: "nameless"},
		{Name: "nul\x00", Value: "x"},
		{Name: "k", Value: "again"},
	}
	tests := []struct {
		v    stomp.Version
		want string
	}{
		{stomp.Unknown, "k:a b:c\\d e f\nk:again\n"},
		{stomp.V10, "k:a b:c\\d e f\nk:again\n"},
		{stomp.V11, "k:a\\nb\\cc\\\\d\re f\nn\\c\\n\\\\\r:\nk:again\n"},
		{stomp.V12, "k:a\\nb\\cc\\\\d\\re f\nn\\c\\n\\\\\\r:\nk:again\n"},
	}
	for _, tt := range tests {
		f := stomp.Frame{Command: "MESSAGE", Headers: headers, Body: []byte("b\x00dy")}
		out, err := f.Append([]byte("before"), tt.v)
		require.NoError(t, err)
		require.Equal(t, "beforeMESSAGE\n"+tt.want+"content-length:4\n\nb\x00dy\x00", string(out))

		f.Body = nil
		out, err = f.Append(nil, tt.v)
		require.NoError(t, err)
		require.Equal(t, "MESSAGE\n"+tt.want+"\n\x00", string(out), "no body, no content-length")
	}
}

func TestAppendNeverEscapesConnect(t *testing.T) {
	for _, cmd := range []string{"CONNECT", "STOMP", "CONNECTED"} {
		for _, v := range allVersions {
			f := stomp.Frame{Command: cmd, Headers: []stomp.Header{{Name: "passcode", Value: `a:b\c`}}}
			out, err := f.Append(nil, v)
			require.NoError(t, err)
			require.Equal(t, cmd+"\npasscode:a:b\\c\n\n\x00", string(out))

			for _, bad := range []stomp.Header{
				{Name: "login", Value: "a\nb"}, {Name: "login", Value: "a\r"}, {Name: "login", Value: "\x00"},
				{Name: "lo:gin", Value: "a"}, {Name: "lo\ngin", Value: "a"}, {Name: "", Value: "a"},
			} {
				f.Headers = []stomp.Header{bad}
				out, err = f.Append([]byte("kept"), v)
				require.ErrorIs(t, err, stomp.ErrNotEncodable)
				require.Equal(t, "kept", string(out))
			}
		}
	}
}

func TestAppendRefusals(t *testing.T) {
	_, err := stomp.Frame{Command: "send"}.Append(nil, stomp.V12)
	require.ErrorIs(t, err, stomp.ErrUnknownCommand)
	_, err = stomp.Frame{Command: "SEND\ninjected:1"}.Append(nil, stomp.V12)
	require.ErrorIs(t, err, stomp.ErrUnknownCommand)
	_, err = stomp.Frame{Command: "RECEIPT", Body: []byte("x")}.Append(nil, stomp.V12)
	require.ErrorIs(t, err, stomp.ErrUnexpectedBody)
}

// nasty are header texts that try to break out of their line.
var nasty = []string{
	"", "plain", "a:b", ":", `\`, `\n`, `\\`, `c:\temp\`, "\n", "\r\n", "a\nmessage-id:evil",
	"a\r\nmessage-id:evil", "\n\nbody\x00SEND\n\n\x00", "\r", "a\r", "\x00", " pad ", "значение", "\xff\xfe",
	"content-length", " content-length", "content-length\n", "content-length:0",
}

// representable is what a header becomes for a receiver of version v; an
// independent account of the rules in the comment of Append.
func representable(h stomp.Header, v stomp.Version) (stomp.Header, bool) {
	if h.Name == "" || h.Name == "content-length" || strings.Contains(h.Name, "\x00") {
		return h, false
	}
	if v >= stomp.V11 {
		h.Value = strings.ReplaceAll(h.Value, "\x00", " ")
		return h, true
	}
	if strings.ContainsAny(h.Name, ":\r\n") || strings.TrimSpace(h.Name) == "content-length" {
		return h, false
	}
	h.Value = strings.NewReplacer("\x00", " ", "\r", " ", "\n", " ").Replace(h.Value)
	return h, true
}

// requireRoundTrip appends a frame with header h between two others and wants
// exactly that back.
func requireRoundTrip(t *testing.T, h stomp.Header, body []byte, v stomp.Version) {
	t.Helper()
	first, last := stomp.Header{Name: "first", Value: "1"}, stomp.Header{Name: "last", Value: "2"}
	sent := stomp.Frame{Command: "MESSAGE", Headers: []stomp.Header{first, h, last}, Body: body}
	want := []stomp.Header{first}
	if kept, ok := representable(h, v); ok {
		want = append(want, kept)
	}
	want = append(want, last)
	if len(body) > 0 {
		want = append(want, stomp.Header{Name: "content-length", Value: fmt.Sprint(len(body))})
	}

	wire, err := sent.Append(nil, v)
	require.NoError(t, err)
	got, n, err := stomp.Decode(wire, v, stomp.Limits{MaxHeaderLength: 1 << 20, MaxBodyLength: 1 << 20})
	require.NoError(t, err, "%q", wire)
	require.Equal(t, len(wire), n, "%q", wire)
	require.Equal(t, want, got.Headers)
	require.Equal(t, "MESSAGE", got.Command)
	require.Equal(t, string(body), string(got.Body))
}

func TestRoundTripAndNoInjection(t *testing.T) {
	for _, v := range allVersions {
		for _, name := range nasty {
			for _, value := range nasty {
				requireRoundTrip(t, stomp.Header{Name: name, Value: value}, nil, v)
				requireRoundTrip(t, stomp.Header{Name: name, Value: value}, []byte("b\x00\n"), v)
			}
		}
	}
}

func TestVectorsRoundTrip(t *testing.T) {
	for _, vec := range loadVectors(t) {
		for _, f := range vec.frames(t) {
			wire, err := f.Append(nil, vec.v)
			require.NoError(t, err, vec.Name)
			got, _, err := stomp.Decode(wire, vec.v, stomp.Limits{})
			require.NoError(t, err, vec.Name)
			require.Equal(t, withoutLength(f), withoutLength(got), vec.Name)
		}
	}
}

func withoutLength(f stomp.Frame) stomp.Frame {
	var headers []stomp.Header
	for _, h := range f.Headers {
		if h.Name != "content-length" {
			headers = append(headers, h)
		}
	}
	f.Headers = headers
	return f
}

func TestJSON(t *testing.T) {
	f := stomp.Frame{
		Command: "CONNECT",
		Headers: []stomp.Header{{Name: "login", Value: "u"}, {Name: "passcode", Value: "hunter2"}, {Name: " Passcode", Value: "hunter2"}},
	}
	out, err := json.Marshal(f)
	require.NoError(t, err)
	require.JSONEq(t, `{"command":"CONNECT","headers":[["login","u"],["passcode","***"],[" Passcode","***"]],"body":""}`, string(out))
	require.Equal(t, "hunter2", f.Get("passcode"), "only the rendering is masked")

	out, err = json.Marshal([]stomp.Frame{{Command: "SEND", Body: []byte("x\x00")}, {Command: "SEND", Body: []byte{0xff, 0}}})
	require.NoError(t, err)
	require.JSONEq(t, `[{"command":"SEND","headers":[],"body":"x\u0000"},{"command":"SEND","headers":[],"body_hex":"ff00"}]`, string(out))

	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb, f), "hunter2")
		require.NotContains(t, fmt.Sprintf(verb, &f), "hunter2")
	}
	require.Equal(t, "CONNECT (3 headers, 0 bytes)", f.String())
}
