package listen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// The PROXY protocol, versions 1 and 2:
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt

const (
	proxyShortest  = len("PROXY UNKNOWN\r\n") // nothing that is a header is shorter
	proxyLineMax   = 107                      // [2.1] with CRLF
	proxyFixed     = 16                       // [2.2] signature, command, family, length
	proxyBlockMax  = 4096                     // ours: addresses and TLVs
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
)

var errProxy = errors.New("malformed PROXY header")

// proxyHeader is what a proxy says of the connection that it forwards. Without a
// valid source the socket's own address holds: the proxy speaks for itself
// (LOCAL, health checks) or cannot say.
type proxyHeader struct {
	source netip.AddrPort
	certCN string // of a client certificate that the proxy verified
}

// readProxy reads one header and not a byte more: what follows belongs to TLS
// or to the protocol.
func readProxy(r io.Reader) (h proxyHeader, err error) {
	var buf [proxyLineMax]byte
	if _, err := io.ReadFull(r, buf[:proxyShortest]); err != nil {
		return h, err
	}
	if string(buf[:len(proxySignature)]) == proxySignature {
		if _, err := io.ReadFull(r, buf[proxyShortest:proxyFixed]); err != nil {
			return h, err
		}
		return readProxy2(r, [proxyFixed]byte(buf[:]))
	}
	if !bytes.HasPrefix(buf[:], []byte("PROXY ")) {
		return h, fmt.Errorf("%w: no signature", errProxy)
	}
	// The line's end is not known before it is there, so byte by byte.
	n := proxyShortest
	for buf[n-1] != '\n' {
		if n == len(buf) {
			return h, fmt.Errorf("%w: line too long", errProxy)
		}
		if _, err := io.ReadFull(r, buf[n:n+1]); err != nil {
			return h, err
		}
		n++
	}
	return parseProxy1(string(buf[:n]))
}

// parseProxy1 reads a line of version 1 [2.1].
func parseProxy1(line string) (h proxyHeader, err error) {
	line, ok := strings.CutSuffix(line, "\r\n")
	if !ok || strings.ContainsAny(line, "\r\n") {
		return h, fmt.Errorf("%w: line does not end in CRLF", errProxy)
	}
	f := strings.Split(line, " ")
	if f[1] == "UNKNOWN" { // the rest of the line must be ignored
		return h, nil
	}
	if len(f) != 6 || f[1] != "TCP4" && f[1] != "TCP6" {
		return h, fmt.Errorf("%w: want protocol, two addresses and two ports", errProxy)
	}
	source, err := parseProxyAddr(f[2], f[4], f[1] == "TCP4")
	if err != nil {
		return h, err
	}
	if _, err := parseProxyAddr(f[3], f[5], f[1] == "TCP4"); err != nil {
		return h, err
	}
	return proxyHeader{source: source}, nil
}

func parseProxyAddr(addr, port string, v4 bool) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Is4() != v4 || a.Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("%w: address %q", errProxy, addr)
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(p, 10) != port { // no sign, no leading zero
		return netip.AddrPort{}, fmt.Errorf("%w: port %q", errProxy, port)
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), nil
}

// readProxy2 reads the rest of a header of version 2 [2.2].
func readProxy2(r io.Reader, fixed [proxyFixed]byte) (h proxyHeader, err error) {
	command, family := fixed[12], fixed[13]
	size := int(binary.BigEndian.Uint16(fixed[14:]))
	if command != 0x20 && command != 0x21 {
		return h, fmt.Errorf("%w: version and command %#x", errProxy, command)
	}
	if size > proxyBlockMax {
		return h, fmt.Errorf("%w: %d bytes", errProxy, size)
	}
	block := make([]byte, size)
	if _, err := io.ReadFull(r, block); err != nil {
		return h, err
	}
	if command == 0x20 { // LOCAL: whatever it says of addresses must be ignored
		return h, nil
	}
	return parseProxy2(family, block)
}

// parseProxy2 reads the addresses and what of the TLVs is of use.
func parseProxy2(family byte, block []byte) (h proxyHeader, err error) {
	var addr, total int
	switch family {
	case 0x11: // TCP over IPv4
		addr, total = 4, 12
	case 0x21: // TCP over IPv6
		addr, total = 16, 36
	case 0x00, 0x31: // unspecified, UNIX stream: no address that we could use
		return h, nil
	default: // datagrams, and what is not defined
		return h, fmt.Errorf("%w: family %#x", errProxy, family)
	}
	if len(block) < total {
		return h, fmt.Errorf("%w: %d bytes for family %#x", errProxy, len(block), family)
	}
	source, _ := netip.AddrFromSlice(block[:addr])
	h.source = netip.AddrPortFrom(source.Unmap(), binary.BigEndian.Uint16(block[2*addr:]))
	h.certCN, err = proxyCN(block[total:])
	return h, err
}

const (
	tlvSSL   = 0x20 // [2.2.6]
	tlvSSLCN = 0x22

	sslCertConn = 0x02 // a client certificate came in this connection
	sslCertSess = 0x04 // or in the session before
)

// proxyCN finds the common name of a client certificate that the proxy verified.
func proxyCN(tlvs []byte) (cn string, err error) {
	err = eachTLV(tlvs, func(typ byte, v []byte) error {
		if typ != tlvSSL {
			return nil
		}
		if len(v) < 5 {
			return fmt.Errorf("%w: SSL of %d bytes", errProxy, len(v))
		}
		verified := v[0]&(sslCertConn|sslCertSess) != 0 && binary.BigEndian.Uint32(v[1:]) == 0
		return eachTLV(v[5:], func(typ byte, v []byte) error {
			if verified && typ == tlvSSLCN {
				cn = string(v)
			}
			return nil
		})
	})
	return cn, err
}

func eachTLV(b []byte, f func(typ byte, v []byte) error) error {
	for len(b) > 0 {
		if len(b) < 3 {
			return fmt.Errorf("%w: TLV cut off", errProxy)
		}
		n := int(binary.BigEndian.Uint16(b[1:]))
		if len(b)-3 < n {
			return fmt.Errorf("%w: TLV of %d bytes cut off", errProxy, n)
		}
		if err := f(b[0], b[3:3+n]); err != nil {
			return err
		}
		b = b[3+n:]
	}
	return nil
}
