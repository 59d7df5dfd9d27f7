package listen

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// v2 makes a header of version 2.
func v2(command, family byte, block ...byte) string {
	b := append([]byte(proxySignature), command, family)
	return string(append(binary.BigEndian.AppendUint16(b, uint16(len(block))), block...))
}

func tlv(typ byte, v ...byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{typ}, uint16(len(v))), v...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

var (
	v4Block = []byte{192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0xF0, 0xAD}
	v6Block = join([]byte{0x20, 1, 0x0d, 0xb8, 15: 9}, make([]byte, 16), []byte{0x30, 0x39, 0, 80})
)

func sslTLV(flags byte, verify uint32) []byte {
	v := binary.BigEndian.AppendUint32([]byte{flags}, verify)
	return tlv(tlvSSL, join(v, tlv(0x21, []byte("TLSv1.3")...), tlv(tlvSSLCN, []byte("dev-1")...))...)
}

func TestProxyHeader(t *testing.T) {
	for name, tc := range map[string]struct{ header, source, cn string }{
		"v1 tcp4":               {"PROXY TCP4 192.0.2.7 10.0.0.1 12345 61613\r\n", "192.0.2.7:12345", ""},
		"v1 shortest tcp4":      {"PROXY TCP4 1.1.1.1 1.1.1.1 0 1\r\n", "1.1.1.1:0", ""},
		"v1 tcp6":               {"PROXY TCP6 2001:db8::9 2001:db8::1 12345 61613\r\n", "[2001:db8::9]:12345", ""},
		"v1 shortest tcp6":      {"PROXY TCP6 :: :: 1 1\r\n", "[::]:1", ""},
		"v1 mapped":             {"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 1\r\n", "192.0.2.7:1", ""},
		"v1 unknown":            {"PROXY UNKNOWN\r\n", "", ""},
		"v1 unknown and more":   {"PROXY UNKNOWN whatever it is\r\n", "", ""},
		"v1 longest":            {"PROXY UNKNOWN " + strings.Repeat("x", proxyLineMax-16) + "\r\n", "", ""},
		"v2 tcp4":               {v2(0x21, 0x11, v4Block...), "192.0.2.7:12345", ""},
		"v2 tcp6":               {v2(0x21, 0x21, v6Block...), "[2001:db8::9]:12345", ""},
		"v2 local":              {v2(0x20, 0x00), "", ""},
		"v2 local with address": {v2(0x20, 0x11, v4Block...), "", ""},
		"v2 local, any family":  {v2(0x20, 0x77, 1, 2, 3), "", ""},
		"v2 unspecified":        {v2(0x21, 0x00, 1, 2, 3), "", ""},
		"v2 unix":               {v2(0x21, 0x31, make([]byte, 216)...), "", ""},
		"v2 other tlv":          {v2(0x21, 0x11, join(v4Block, tlv(0x04), tlv(0xEA, 1, 2))...), "192.0.2.7:12345", ""},
		"v2 common name":        {v2(0x21, 0x11, join(v4Block, sslTLV(3, 0))...), "192.0.2.7:12345", "dev-1"},
		"v2 cert in session":    {v2(0x21, 0x11, join(v4Block, sslTLV(5, 0))...), "192.0.2.7:12345", "dev-1"},
		"v2 cert not verified":  {v2(0x21, 0x11, join(v4Block, sslTLV(3, 1))...), "192.0.2.7:12345", ""},
		"v2 no cert":            {v2(0x21, 0x11, join(v4Block, sslTLV(1, 0))...), "192.0.2.7:12345", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, follow := range []string{"", "CONNECT\n"} {
				src := strings.NewReader(tc.header + follow)
				h, err := readProxy(iotest.OneByteReader(src))
				require.NoError(t, err)
				require.Equal(t, tc.source != "", h.source.IsValid())
				if tc.source != "" {
					require.Equal(t, tc.source, h.source.String())
				}
				require.Equal(t, tc.cn, h.certCN)
				rest, err := io.ReadAll(src)
				require.NoError(t, err)
				require.Equal(t, follow, string(rest), "not a byte more")
			}
			for n := range len(tc.header) {
				_, err := readProxy(strings.NewReader(tc.header[:n]))
				require.Error(t, err, "cut off at %d", n)
			}
		})
	}
}

func TestProxyHeaderMalformed(t *testing.T) {
	for name, header := range map[string]string{
		"none":                  "CONNECT\naccept-version:1.2\n\n\x00",
		"lower case":            "proxy TCP4 192.0.2.7 10.0.0.1 12345 61613\r\n",
		"other protocol":        "PROXY UDP4 192.0.2.7 10.0.0.1 12345 61613\r\n",
		"line feed only":        "PROXY TCP4 192.0.2.7 10.0.0.1 12345 61613\n",
		"return inside":         "PROXY TCP4 192.0.2.7 10.0.0.1 12345\r 61613\r\n",
		"too long":              "PROXY UNKNOWN " + strings.Repeat("x", proxyLineMax-15) + "\r\n",
		"endless":               "PROXY TCP4 " + strings.Repeat("1", 4096),
		"double space":          "PROXY TCP4  192.0.2.7 10.0.0.1 12345 61613\r\n",
		"too few":               "PROXY TCP4 192.0.2.7 10.0.0.1 12345\r\n",
		"too many":              "PROXY TCP4 192.0.2.7 10.0.0.1 12345 61613 1\r\n",
		"bad address":           "PROXY TCP4 192.0.2.777 10.0.0.1 12345 61613\r\n",
		"bad destination":       "PROXY TCP4 192.0.2.7 10.0.0 12345 61613\r\n",
		"wrong family":          "PROXY TCP6 192.0.2.7 10.0.0.1 12345 61613\r\n",
		"wrong family 4":        "PROXY TCP4 ::1 ::1 12345 61613\r\n",
		"zone":                  "PROXY TCP6 fe80::1%eth0 ::1 12345 61613\r\n",
		"port too large":        "PROXY TCP4 192.0.2.7 10.0.0.1 65536 61613\r\n",
		"port leading zero":     "PROXY TCP4 192.0.2.7 10.0.0.1 0123 61613\r\n",
		"port sign":             "PROXY TCP4 192.0.2.7 10.0.0.1 +1 61613\r\n",
		"v2 version 1":          v2(0x11, 0x11, v4Block...),
		"v2 command":            v2(0x22, 0x11, v4Block...),
		"v2 short":              v2(0x21, 0x11, v4Block[:11]...),
		"v2 short 6":            v2(0x21, 0x21, v4Block...),
		"v2 datagram":           v2(0x21, 0x12, v4Block...),
		"v2 unknown family":     v2(0x21, 0x41, v4Block...),
		"v2 too long":           v2(0x21, 0x11, make([]byte, proxyBlockMax+1)...),
		"v2 tlv cut":            v2(0x21, 0x11, join(v4Block, []byte{4, 0})...),
		"v2 tlv too long":       v2(0x21, 0x11, join(v4Block, []byte{4, 0, 9, 1})...),
		"v2 ssl short":          v2(0x21, 0x11, join(v4Block, tlv(tlvSSL, 1))...),
		"v2 ssl inner cut":      v2(0x21, 0x11, join(v4Block, tlv(tlvSSL, 1, 0, 0, 0, 0, tlvSSLCN, 0, 9))...),
		"v2 almost a signature": "\r\n\r\n\x00\r\nQUIT\r!\x11\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			src := &counted{r: strings.NewReader(header)}
			_, err := readProxy(src)
			require.ErrorIs(t, err, errProxy)
			require.LessOrEqual(t, src.n, proxyFixed+proxyBlockMax)
		})
	}
}

type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func FuzzProxyHeader(f *testing.F) {
	for _, s := range []string{
		"PROXY TCP4 192.0.2.7 10.0.0.1 12345 61613\r\n", "PROXY TCP6 :: :: 1 1\r\n", "PROXY UNKNOWN\r\nx",
		v2(0x21, 0x11, v4Block...), v2(0x21, 0x21, v6Block...), v2(0x20, 0),
		v2(0x21, 0x11, join(v4Block, sslTLV(3, 0))...),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		src := &counted{r: bytes.NewReader(b)}
		h, err := readProxy(src)
		require.LessOrEqual(t, src.n, proxyFixed+proxyBlockMax)
		if err != nil {
			return
		}
		if b[0] == 'P' {
			require.Equal(t, "\r\n", string(b[src.n-2:src.n]))
			require.LessOrEqual(t, src.n, proxyLineMax)
		} else {
			require.Equal(t, proxyFixed+int(binary.BigEndian.Uint16(b[14:])), src.n)
		}
		again, err := readProxy(bytes.NewReader(b[:src.n]))
		require.NoError(t, err)
		require.Equal(t, h, again, "what follows has no influence")
	})
}
