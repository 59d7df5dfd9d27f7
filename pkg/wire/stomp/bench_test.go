package stomp_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/stomp"
)

// loop yields the same bytes for ever.
type loop struct {
	data []byte
	at   int
}

func (l *loop) Read(p []byte) (int, error) {
	n := copy(p, l.data[l.at:])
	l.at = (l.at + n) % len(l.data)
	return n, nil
}

func typicalSend() stomp.Frame {
	return stomp.Frame{
		Command: "SEND",
		Headers: []stomp.Header{
			{Name: "destination", Value: "/plant/7/line/3/temperature"},
			{Name: "content-type", Value: "application/json"},
			{Name: "receipt", Value: "message-12345"},
		},
		Body: bytes.Repeat([]byte("0123456789abcdef"), 8),
	}
}

// openSend is typicalSend without content-length: three headers exactly.
func openSend(tb testing.TB) []byte {
	f := typicalSend()
	body := f.Body
	f.Body = nil
	wire, err := f.Append(nil, stomp.V12)
	require.NoError(tb, err)
	return append(append(wire[:len(wire)-1], body...), 0)
}

func BenchmarkRead(b *testing.B) {
	counted, err := typicalSend().Append(nil, stomp.V12)
	require.NoError(b, err)
	escaped := typicalSend()
	escaped.Headers[0].Value = "a:b\nc\\d:e"
	withEscapes, err := escaped.Append(nil, stomp.V12)
	require.NoError(b, err)
	for name, wire := range map[string][]byte{
		"open": openSend(b), "content-length": counted, "escapes": withEscapes,
		"pipelined": bytes.Repeat(counted, 64),
	} {
		b.Run(name, func(b *testing.B) {
			r := stomp.NewReader(&loop{data: wire}, stomp.Limits{})
			r.SetVersion(stomp.V12)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	f := typicalSend()
	buf := make([]byte, 0, 1024)
	for _, v := range allVersions[1:] {
		b.Run(v.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Append(buf, v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestAllocationBudget(t *testing.T) {
	r := stomp.NewReader(&loop{data: openSend(t)}, stomp.Limits{})
	r.SetVersion(stomp.V12)
	read := testing.AllocsPerRun(500, func() {
		if _, err := r.Read(); err != nil {
			t.Fatal(err)
		}
	})
	// The headers' text, the headers, the body.
	require.LessOrEqual(t, read, 3.0)

	f, buf := typicalSend(), make([]byte, 0, 1024)
	for _, v := range allVersions {
		appended := testing.AllocsPerRun(500, func() {
			if _, err := f.Append(buf, v); err != nil {
				t.Fatal(err)
			}
		})
		require.Zero(t, appended, v.String())
	}
}

func TestHeartBeatsAreFree(t *testing.T) {
	wire := append(bytes.Repeat([]byte("\n\r\n"), 5000), "DISCONNECT\n\n\x00"...)
	r := stomp.NewReader(&loop{data: wire}, stomp.Limits{})
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if f, err := r.Read(); err != nil || f.Command != "DISCONNECT" {
			t.Fatal(f, err)
		}
	}))
}
