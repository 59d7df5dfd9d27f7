package stomp_test

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/stomp"
)

func TestDefaultLimits(t *testing.T) {
	require.Equal(t, stomp.Limits{MaxHeaders: 10, MaxHeaderLength: 1024, MaxBodyLength: 8192}, stomp.DefaultLimits())
}

// Each limit is met exactly and broken by one, in every version, with and
// without CRLF.
func TestLimits(t *testing.T) {
	limits := stomp.Limits{MaxHeaders: 3, MaxHeaderLength: 12, MaxBodyLength: 20}
	send := func(headers, nameLen, valueLen, body int, eol string, counted bool) string {
		in := "SEND" + eol
		for range headers {
			in += strings.Repeat("n", nameLen) + ":" + strings.Repeat("v", valueLen) + eol
		}
		if counted {
			in += fmt.Sprintf("content-length:%d%s", body, eol)
		}
		return in + eol + strings.Repeat("b", body) + "\x00"
	}
	wide := stomp.Limits{MaxHeaders: 3, MaxHeaderLength: 16, MaxBodyLength: 20}
	tests := []struct {
		name   string
		limits stomp.Limits
		in     func(eol string) string
		err    error
	}{
		{"headers in full", limits, func(eol string) string { return send(3, 1, 1, 0, eol, false) }, nil},
		{"a header too many", limits, func(eol string) string { return send(4, 1, 1, 0, eol, false) }, stomp.ErrTooManyHeaders},
		{"content-length counts as one", wide, func(eol string) string { return send(3, 1, 1, 1, eol, true) }, stomp.ErrTooManyHeaders},
		{"long value", limits, func(eol string) string { return send(2, 1, 11, 0, eol, false) }, nil},
		{"long name", limits, func(eol string) string { return send(2, 12, 0, 0, eol, false) }, nil},
		{"value too long", limits, func(eol string) string { return send(2, 1, 12, 0, eol, false) }, stomp.ErrHeaderTooLong},
		{"name too long", limits, func(eol string) string { return send(2, 13, 0, 0, eol, false) }, stomp.ErrHeaderTooLong},
		{"far too long", limits, func(eol string) string { return send(2, 1, 99, 0, eol, false) }, stomp.ErrHeaderTooLong},
		{"body in full", limits, func(eol string) string { return send(1, 1, 1, 20, eol, false) }, nil},
		{"body too long", limits, func(eol string) string { return send(1, 1, 1, 21, eol, false) }, stomp.ErrBodyTooLong},
		{"counted body in full", wide, func(eol string) string { return send(1, 1, 1, 20, eol, true) }, nil},
		{"counted body too long", wide, func(eol string) string { return send(1, 1, 1, 21, eol, true) }, stomp.ErrBodyTooLong},
	}
	for _, tt := range tests {
		for _, v := range allVersions {
			for _, eol := range []string{"\n", "\r\n"} {
				if eol == "\r\n" && (v == stomp.V10 || v == stomp.V11) {
					continue // CR belongs to the value there
				}
				in := tt.in(eol)
				for name, source := range sources([]byte(in)) {
					frames, err := readAll(source(), v, tt.limits)
					if tt.err == nil {
						require.Equal(t, io.EOF, err, "%s: %s", tt.name, name)
						require.Len(t, frames, 1)
						continue
					}
					require.ErrorIs(t, err, tt.err, "%s: %s", tt.name, name)
					require.ErrorIs(t, err, stomp.ErrTooLarge)
					require.NotErrorIs(t, err, stomp.ErrSyntax)
				}
			}
		}
	}
}

func TestDroppedBodyIsLimited(t *testing.T) {
	_, err := readAll(strings.NewReader("CONNECT\n\n"+strings.Repeat("x", 8193)+"\x00"), stomp.Unknown, stomp.Limits{})
	require.ErrorIs(t, err, stomp.ErrBodyTooLong)
}

// endless yields its prefix and then a gigabyte of one byte.
type endless struct {
	prefix string
	fill   byte
	read   int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.read >= 1<<30 {
		return 0, io.EOF
	}
	n := copy(p, e.prefix)
	e.prefix = e.prefix[n:]
	for i := n; i < len(p); i++ {
		p[i] = e.fill
	}
	e.read += len(p)
	return len(p), nil
}

func TestEndlessInputCostsLittle(t *testing.T) {
	tests := []struct {
		prefix string
		fill   byte
		err    error
		most   int
	}{
		{"", 'A', stomp.ErrUnknownCommand, 512},
		{"SEND\n", 'a', stomp.ErrHeaderTooLong, 6 << 10},
		{"SEND\nk:", '\\', stomp.ErrHeaderTooLong, 6 << 10},
		{"SEND\n" + strings.Repeat("a:b\n", 10), 'a', stomp.ErrTooManyHeaders, 512},
		{"SEND\n\n", 'a', stomp.ErrBodyTooLong, 24 << 10},
		{"CONNECT\n\n", 'a', stomp.ErrBodyTooLong, 24 << 10},
		{"SUBSCRIBE\n\n", 'a', stomp.ErrUnexpectedBody, 512},
		{"SEND\ncontent-length:1073741824\n\n", 'a', stomp.ErrBodyTooLong, 512},
		{"SEND\ncontent-length:8192\n\n", 'a', stomp.ErrMissingNUL, 24 << 10},
	}
	for _, tt := range tests {
		source := &endless{prefix: tt.prefix, fill: tt.fill}
		_, err := readAll(source, stomp.V12, stomp.Limits{})
		require.ErrorIs(t, err, tt.err, tt.prefix)
		require.LessOrEqual(t, source.read, tt.most, tt.prefix)
	}
}

// A content-length within a generous limit must not be taken at its word.
func TestContentLengthAllocatesNothing(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	in := "SEND\ncontent-length:536870912\n\nonly this"
	_, err := readAll(strings.NewReader(in), stomp.V12, stomp.Limits{MaxBodyLength: 1 << 30})
	runtime.ReadMemStats(&after)
	require.Equal(t, io.ErrUnexpectedEOF, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func TestErrorsHoldNoHeaderValues(t *testing.T) {
	const secret = "hunter2"
	for _, in := range []string{
		"SEND\npasscode:" + secret + "\\t\n\n\x00",
		"SEND\npasscode:" + secret + "\rx\n\n\x00",
		"SEND\n:" + secret + "\n\n\x00",
		"SEND\n" + secret + "\n\n\x00",
		"SEND\npasscode:" + secret + "\x00",
		"SEND\ncontent-length:" + secret + "\n\n\x00",
		"SEND\npasscode:" + secret + strings.Repeat("x", 2000) + "\n\n\x00",
		secret + "\n\n\x00",
	} {
		_, err := readAll(strings.NewReader(in), stomp.V12, stomp.Limits{})
		require.True(t, isRefusal(err), in)
		require.NotContains(t, err.Error(), secret)
		require.NotContains(t, err.Error(), "\n")
		require.Equal(t, strings.ToLower(err.Error()), err.Error())
	}
	f := stomp.Frame{Command: "CONNECT", Headers: []stomp.Header{{Name: "passcode", Value: secret + "\n"}}}
	_, err := f.Append(nil, stomp.V12)
	require.ErrorIs(t, err, stomp.ErrNotEncodable)
	require.NotContains(t, err.Error(), secret)
}
