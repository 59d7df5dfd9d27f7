package stomp

import (
	"bytes"
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/gateway"
	"sluice/pkg/wire/stomp"
)

// wild is a connection whose Read has a bug.
type wild struct{ net.Conn }

func (wild) Read([]byte) (int, error) { panic("bug") }

func TestReaderPanicIsAnError(t *testing.T) {
	device, server := net.Pipe()
	defer func() { _ = device.Close() }()
	var log bytes.Buffer
	r := newReader(wild{server}, stomp.Limits{}, gateway.Env{Log: slog.New(slog.NewTextHandler(&log, nil))})
	in := <-r.frames
	require.ErrorIs(t, in.err, errPanic)
	r.halt(true)
	require.Contains(t, log.String(), "bug")
}
