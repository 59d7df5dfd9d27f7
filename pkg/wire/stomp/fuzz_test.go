package stomp_test

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/stomp"
)

// FuzzRead wants no panic, no frame beyond the limits, and the same frames and
// verdict from Decode and from Readers fed in chunks of all kinds.
func FuzzRead(f *testing.F) {
	for _, v := range loadVectors(f) {
		f.Add(byte(v.v), v.data)
	}
	f.Add(byte(stomp.V12), []byte("SEND\na:1\nb:2\nc:3\nd:4\r\n\r\n0123456789012345\x00"))
	limits := stomp.Limits{MaxHeaders: 4, MaxHeaderLength: 24, MaxBodyLength: 32}
	f.Fuzz(func(t *testing.T, version byte, data []byte) {
		v := stomp.Version(version % 4)
		for _, l := range []stomp.Limits{limits, {}} {
			want, wantErr := decodeAll(data, v, l)
			requireWithin(t, want, l)
			if wantErr == stomp.ErrIncomplete {
				wantErr = io.ErrUnexpectedEOF
			}
			for _, source := range []io.Reader{
				bytes.NewReader(data),
				iotest.OneByteReader(bytes.NewReader(data)),
				iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(data))),
			} {
				got, err := readAll(source, v, l)
				require.Equal(t, want, got)
				require.EqualError(t, err, wantErr.Error())
				require.True(t, err == io.EOF || err == io.ErrUnexpectedEOF || isRefusal(err))
			}
		}
	})
}

func requireWithin(t *testing.T, frames []stomp.Frame, l stomp.Limits) {
	if l == (stomp.Limits{}) {
		l = stomp.DefaultLimits()
	}
	for _, f := range frames {
		require.LessOrEqual(t, len(f.Headers), l.MaxHeaders)
		require.LessOrEqual(t, len(f.Body), l.MaxBodyLength)
		for _, h := range f.Headers {
			require.NotEmpty(t, h.Name)
			require.LessOrEqual(t, len(h.Name)+len(h.Value), l.MaxHeaderLength)
		}
	}
}

// FuzzRoundTrip wants any header back as it was, or as the comment of Append
// says, and its neighbours and the body untouched.
func FuzzRoundTrip(f *testing.F) {
	for _, v := range loadVectors(f) {
		for _, frame := range v.frames(f) {
			for _, h := range frame.Headers {
				f.Add(byte(v.v), h.Name, h.Value, frame.Body)
			}
		}
	}
	for _, text := range nasty {
		f.Add(byte(stomp.V11), text, text, []byte(text))
	}
	f.Fuzz(func(t *testing.T, version byte, name, value string, body []byte) {
		requireRoundTrip(t, stomp.Header{Name: name, Value: value}, body, stomp.Version(version%4))
	})
}
