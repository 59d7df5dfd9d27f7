package main

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/jt808"
)

// TestSimJT808 has terminals at a platform that answers everything.
func TestSimJT808(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go answerAll(nc)
		}
	}()
	var out, errs bytes.Buffer
	code := run([]string{"sluicectl", "sim", "jt808", "--addr", l.Addr().String(), "--count", "3", "--every", "10ms", "--for", "1500ms"}, strings.NewReader(""), &out, &errs)
	require.Zero(t, code, errs.String())
	require.Contains(t, out.String(), "3 terminals connected, ")
	require.NotContains(t, out.String(), " 0 locations answered in")

	code = run([]string{"sluicectl", "sim", "jt808", "--count", "0"}, strings.NewReader(""), &out, &errs)
	require.Equal(t, exitUsage, code)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	code = run([]string{"sluicectl", "sim", "jt808", "--addr", addr, "--for", "300ms"}, strings.NewReader(""), &out, &errs)
	require.Equal(t, exitError, code)
	require.Contains(t, errs.String(), "no location was answered")
}

func answerAll(nc net.Conn) {
	defer nc.Close()
	s, buf := jt808.NewSplitter(0), make([]byte, 4096)
	for {
		n, err := nc.Read(buf)
		if err != nil {
			return
		}
		s.Feed(buf[:n])
		for content, bad, ok := s.Next(); ok; content, bad, ok = s.Next() {
			f, err := jt808.Parse(content)
			if bad != nil || err != nil {
				return
			}
			body := []byte{byte(f.Serial >> 8), byte(f.Serial), byte(f.ID >> 8), byte(f.ID), 0}
			wire, _ := jt808.Append(nil, jt808.Frame{Header: jt808.Header{ID: 0x8001, Phone: f.Phone}, Body: body})
			if _, err := nc.Write(wire); err != nil {
				return
			}
		}
	}
}
