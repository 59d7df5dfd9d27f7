package stomp_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unsafe"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/stomp"
)

const anyVersion = stomp.Version(255)

var allVersions = []stomp.Version{stomp.Unknown, stomp.V10, stomp.V11, stomp.V12}

// TestRules holds the differences between the versions, by the table of the
// specification notes, and refusals that no vector has.
func TestRules(t *testing.T) {
	tests := []struct {
		name string
		v    stomp.Version
		in   string
		want string // value of header k, when err is nil
		err  error
	}{
		{"escapes are literal in 1.0", stomp.V10, `k:\n\c\\\r\t\`, `\n\c\\\r\t\`, nil},
		{"escapes are literal before CONNECT", stomp.Unknown, `k:\t`, `\t`, nil},
		{"escapes of 1.1", stomp.V11, `k:a\nb\cc\\d`, "a\nb:c\\d", nil},
		{"escapes of 1.2", stomp.V12, `k:a\nb\cc\\d\r`, "a\nb:c\\d\r", nil},
		{"escaped backslash before n", stomp.V12, `k:\\n`, `\n`, nil},
		{"unknown escape 1.1", stomp.V11, `k:\t`, "", stomp.ErrBadEscape},
		{"unknown escape 1.2", stomp.V12, `k:\t`, "", stomp.ErrBadEscape},
		{"backslash at the end 1.1", stomp.V11, `k:x\`, "", stomp.ErrBadEscape},
		{"backslash before the colon", stomp.V12, `k\:x`, "", stomp.ErrBadEscape},
		{"escape in a name", stomp.V12, `\t:x`, "", stomp.ErrBadEscape},
		{"escaped CR before CRLF", stomp.V12, "k:x\\\r", "", stomp.ErrBadEscape},
		{"colon in value", anyVersion, "k:a:b:", "a:b:", nil},
		{"empty value", anyVersion, "k:", "", nil},
		{"blanks are kept", anyVersion, "k: v ", " v ", nil},
		{"CR at the end 1.2", stomp.V12, "k:v\r", "v", nil},
		{"CR at the end before CONNECT", stomp.Unknown, "k:v\r", "v", nil},
		{"CR at the end 1.1", stomp.V11, "k:v\r", "v\r", nil},
		{"CR at the end 1.0", stomp.V10, "k:v\r", "v\r", nil},
		{"CR inside 1.1", stomp.V11, "k:a\rb", "a\rb", nil},
		{"CR inside 1.2", stomp.V12, "k:a\rb", "", stomp.ErrBadCR},
		{"two CRs 1.2", stomp.V12, "k:a\r\r", "", stomp.ErrBadCR},
		{"CR inside before CONNECT", stomp.Unknown, "k:a\rb", "", stomp.ErrBadCR},
		{"no colon", anyVersion, "foo", "", stomp.ErrBadHeader},
		{"empty name", anyVersion, ":x", "", stomp.ErrEmptyHeaderName},
		{"NUL in a header", anyVersion, "k:a\x00b", "", stomp.ErrNULInHeader},
		{"no blank line", anyVersion, "k:a\x00", "", stomp.ErrNULInHeader},
	}
	for _, tt := range tests {
		for _, v := range allVersions {
			if tt.v != anyVersion && tt.v != v {
				continue
			}
			t.Run(tt.name+" "+v.String(), func(t *testing.T) {
				in := "SEND\n" + tt.in + "\n\nbody\x00"
				for name, source := range sources([]byte(in)) {
					frames, err := readAll(source(), v, stomp.Limits{})
					if tt.err != nil {
						require.ErrorIs(t, err, tt.err, name)
						require.ErrorIs(t, err, stomp.ErrSyntax)
						require.Empty(t, frames)
						continue
					}
					require.Equal(t, io.EOF, err, name)
					require.Equal(t, []stomp.Frame{{
						Command: "SEND",
						Headers: []stomp.Header{{Name: "k", Value: tt.want}},
						Body:    []byte("body"),
					}}, frames, name)
				}
			})
		}
	}
}

func TestConnectIsLiteralInEveryVersion(t *testing.T) {
	for _, cmd := range []string{"CONNECT", "STOMP", "CONNECTED"} {
		for _, v := range allVersions {
			frames, err := readAll(strings.NewReader(cmd+"\r\nlogin:a:b\\t\\\r\n\r\n\x00\r\n"), v, stomp.Limits{})
			require.Equal(t, io.EOF, err)
			require.Equal(t, []stomp.Frame{{
				Command: cmd, Headers: []stomp.Header{{Name: "login", Value: `a:b\t\`}},
			}}, frames)

			_, err = readAll(strings.NewReader(cmd+"\nlogin:a\rb\n\n\x00"), v, stomp.Limits{})
			require.ErrorIs(t, err, stomp.ErrBadCR)
		}
	}
}

func TestCRLFIsToleratedWhereItMeansNothingElse(t *testing.T) {
	for _, v := range allVersions {
		frames, err := readAll(strings.NewReader("\r\n\n\r\nDISCONNECT\r\n\r\n\x00\r\n"), v, stomp.Limits{})
		require.Equal(t, io.EOF, err)
		require.Equal(t, []stomp.Frame{{Command: "DISCONNECT"}}, frames)
	}
}

func TestCommandLine(t *testing.T) {
	tests := []struct {
		in  string
		err error
	}{
		{"SUBSCRIBERS\n\n\x00", stomp.ErrUnknownCommand},
		{"UNSUBSCRIBED", stomp.ErrUnknownCommand}, // refused without its EOL
		{"SEND \n\n\x00", stomp.ErrUnknownCommand},
		{" SEND\n\n\x00", stomp.ErrUnknownCommand},
		{"send", stomp.ErrUnknownCommand},
		{"\xef\xbb\xbfCONNECT\n\n\x00", stomp.ErrUnknownCommand}, // UTF-8 BOM
		{"\x16\x03\x01", stomp.ErrUnknownCommand},                // TLS on the plain port
		{"GET / HTTP/1.1", stomp.ErrUnknownCommand},
		{"CONNECT example.org:80 HTTP/1.1\r\n", stomp.ErrUnknownCommand},
		{"SEND\x00", stomp.ErrNULInHeader},
		{"\x00", stomp.ErrNULInHeader},
		{"SEND\rx", stomp.ErrBadCR},
		{"\n\rSEND", stomp.ErrBadCR},
		{"\r\r\n", stomp.ErrBadCR},
	}
	for _, tt := range tests {
		for _, v := range allVersions {
			for name, source := range sources([]byte(tt.in)) {
				_, err := readAll(source(), v, stomp.Limits{})
				require.ErrorIs(t, err, tt.err, "%q %s", tt.in, name)
				require.ErrorIs(t, err, stomp.ErrSyntax)
			}
		}
	}
}

func TestContentLength(t *testing.T) {
	tests := []struct {
		v     stomp.Version
		value string
		err   error
	}{
		{stomp.V12, "4", nil},
		{stomp.V12, "0004", nil},
		{stomp.V12, "", stomp.ErrBadContentLength},
		{stomp.V12, " 4", stomp.ErrBadContentLength},
		{stomp.V11, "4 ", stomp.ErrBadContentLength},
		{stomp.V10, " 4 ", nil},
		{stomp.V10, " ", stomp.ErrBadContentLength},
		{stomp.V12, "-0", stomp.ErrBadContentLength},
		{stomp.V12, "0x4", stomp.ErrBadContentLength},
		{stomp.V12, "4\\c", stomp.ErrBadContentLength},
		{stomp.V12, "x\ncontent-length:4", stomp.ErrBadContentLength}, // the first counts
		{stomp.V12, "3", stomp.ErrMissingNUL},
		{stomp.V12, "5", io.ErrUnexpectedEOF},
		{stomp.V12, "8193", stomp.ErrBodyTooLong},
		{stomp.V12, "18446744073709551620", stomp.ErrBodyTooLong}, // 2^64+4
		{stomp.V12, strings.Repeat("9", 1000), stomp.ErrBodyTooLong},
	}
	for _, tt := range tests {
		in := "SEND\ncontent-length:" + tt.value + "\nreceipt:7\n\na\x00\x00b\x00"
		r := stomp.NewReader(strings.NewReader(in), stomp.Limits{})
		r.SetVersion(tt.v)
		f, err := r.Read()
		if tt.err == nil {
			require.NoError(t, err, tt.value)
			require.Equal(t, "a\x00\x00b", string(f.Body))
			continue
		}
		require.ErrorIs(t, err, tt.err, tt.value)
		if isRefusal(err) {
			require.Equal(t, "7", f.Get("receipt"), "the ERROR frame needs a receipt-id")
			require.Nil(t, f.Body)
		}
	}
}

func TestBodyWhereNoneBelongs(t *testing.T) {
	for _, cmd := range []string{"SUBSCRIBE", "ACK", "RECEIPT", "CONNECT", "CONNECTED", "STOMP"} {
		for _, v := range allVersions {
			for _, in := range []string{
				cmd + "\nreceipt:7\n\nbody\x00\n",
				cmd + "\nreceipt:7\ncontent-length:4\n\nb\x00dy\x00\n",
			} {
				f, n, err := stomp.Decode([]byte(in), v, stomp.Limits{})
				require.Nil(t, f.Body)
				require.Equal(t, "7", f.Get("receipt"))
				if v >= stomp.V11 && !strings.HasPrefix(cmd, "CONNECT") && cmd != "STOMP" {
					require.ErrorIs(t, err, stomp.ErrUnexpectedBody)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, len(in)-1, n, "the body is read and dropped")
			}
		}
	}
}

func TestVersionCountsFromTheNextFrame(t *testing.T) {
	// Both frames arrive in one read: the second must wait for SetVersion.
	in := "CONNECT\naccept-version:1.2\n\n\x00SEND\nk:\\c\r\n\n\x00"
	r := stomp.NewReader(strings.NewReader(in), stomp.Limits{})
	f, err := r.Read()
	require.NoError(t, err)
	v, ok := stomp.NegotiateVersion(f.Get("accept-version"))
	require.True(t, ok)
	r.SetVersion(v)
	f, err = r.Read()
	require.NoError(t, err)
	require.Equal(t, ":", f.Get("k"))
}

func TestRefusalIsFinal(t *testing.T) {
	r := stomp.NewReader(strings.NewReader("send\n\n\x00SEND\n\n\x00"), stomp.Limits{})
	_, err := r.Read()
	require.ErrorIs(t, err, stomp.ErrUnknownCommand)
	f, again := r.Read()
	require.Equal(t, err, again)
	require.Zero(t, f)
}

func TestReadGoesOnAfterASourceError(t *testing.T) {
	for _, first := range []string{"", "\n", "\r", "SE", "SEND\nk:v", "SEND\nk:v\n\nbo"} {
		whole := "SEND\nk:v\n\nbody\x00"
		if strings.TrimSpace(first) == "" {
			whole = first + "\n" + whole
		}
		source := io.MultiReader(
			strings.NewReader(first),
			&failOnce{err: errors.New("deadline")},
			strings.NewReader(whole[len(first):]),
		)
		r := stomp.NewReader(source, stomp.Limits{})
		_, err := r.Read()
		require.EqualError(t, err, "deadline")
		f, err := r.Read()
		require.NoError(t, err)
		require.Equal(t, "body", string(f.Body))
		_, err = r.Read()
		require.Equal(t, io.EOF, err)
	}
}

type failOnce struct{ err error }

func (f *failOnce) Read([]byte) (int, error) {
	err := f.err
	f.err = io.EOF
	return 0, err
}

func TestReadGivesUpOnASilentSource(t *testing.T) {
	_, err := readAll(iotest.ErrReader(nil), stomp.V12, stomp.Limits{})
	require.Equal(t, io.ErrNoProgress, err)
}

// Frames of all sizes around the buffer sizes, back to back.
func TestBufferSizes(t *testing.T) {
	var stream []byte
	var want []stomp.Frame
	for size := 1; size < 40000; size += size/3 + 1 {
		f := stomp.Frame{
			Command: "MESSAGE",
			Headers: []stomp.Header{{Name: "k", Value: strings.Repeat("v", size%700)}},
			Body:    bytes.Repeat([]byte{byte(size)}, size),
		}
		var err error
		stream, err = f.Append(stream, stomp.V12)
		require.NoError(t, err)
		stream = append(stream, "\n\r\n"[:size%4]...)
		if size%4 == 2 { // cut inside CRLF by the line above
			stream = append(stream, '\n')
		}
		want = append(want, f)
	}
	for name, source := range sources(stream) {
		frames, err := readAll(source(), stomp.V12, stomp.Limits{MaxBodyLength: 50000})
		require.Equal(t, io.EOF, err, name)
		require.Len(t, frames, len(want))
		for i := range want {
			require.Equal(t, want[i].Body, frames[i].Body)
			require.Equal(t, want[i].Get("k"), frames[i].Get("k"))
		}
	}
}

func TestIdleReaderIsSmall(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(stomp.Reader{}), uintptr(768))

	// After a large frame the next read, the one that may block for hours,
	// must come with the tiny buffer again.
	frame := "SEND\n\n" + strings.Repeat("x", 8000) + "\x00"
	source := &roomRecorder{Reader: strings.NewReader(frame)}
	_, err := readAll(source, stomp.V12, stomp.Limits{})
	require.Equal(t, io.EOF, err)
	require.Greater(t, source.most, 4000)
	require.Equal(t, 512, source.last)
}

type roomRecorder struct {
	io.Reader
	most, last int
}

func (r *roomRecorder) Read(p []byte) (int, error) {
	r.most, r.last = max(r.most, len(p)), len(p)
	return r.Reader.Read(p)
}
