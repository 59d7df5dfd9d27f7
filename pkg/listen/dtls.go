package listen

import (
	"bufio"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"
)

// newDTLS reads the files and says how associations are made. Each call reads
// them again.
func newDTLS(c TLSConfig) ([]dtls.ServerOption, error) {
	opts := []dtls.ServerOption{
		// Its own would write to stderr, and read the environment for each association.
		dtls.WithLoggerFactory(&logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}),
	}
	var suites []dtls.CipherSuiteID
	if c.CertFile != "" {
		conf, err := newTLS(c, DTLS)
		if err != nil {
			return nil, err
		}
		opts = append(opts, dtls.WithCertificates(conf.Certificates...))
		opts = append(opts, clientAuth(conf)...)
		suites = append(suites,
			dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, dtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, dtls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM, dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8)
	}
	if c.PSKFile != "" {
		keys, err := readPSK(c.PSKFile)
		if err != nil {
			return nil, fmt.Errorf("dtls_options.psk_file: %w", err)
		}
		opts = append(opts, dtls.WithPSK(keys.find))
		// CCM_8 is CoAP's, and with CBC_SHA256 LwM2M's (RFC 7252 §9.1.3.1).
		suites = append(suites,
			dtls.TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256, dtls.TLS_PSK_WITH_AES_128_GCM_SHA256,
			dtls.TLS_PSK_WITH_AES_128_CCM, dtls.TLS_PSK_WITH_AES_128_CCM_8, dtls.TLS_PSK_WITH_AES_128_CBC_SHA256)
	}
	opts = append(opts, dtls.WithCipherSuites(suites...))
	// What the library finds wrong should show now, not at the first device.
	if _, err := dtls.ServerWithOptions(&association{}, nil, opts...); err != nil {
		return nil, fmt.Errorf("dtls_options: %w", err)
	}
	return opts, nil
}

// clientAuth asks for certificates as the same configuration of tls does.
func clientAuth(conf *tls.Config) []dtls.ServerOption {
	if conf.ClientCAs == nil {
		return nil
	}
	auth := dtls.VerifyClientCertIfGiven
	if conf.ClientAuth == tls.RequireAndVerifyClientCert {
		auth = dtls.RequireAndVerifyClientCert
	}
	return []dtls.ServerOption{dtls.WithClientAuth(auth), dtls.WithClientCAs(conf.ClientCAs)}
}

// psk are the pre-shared keys by identity.
type psk map[string][]byte

var errUnknownPSK = errors.New("listen: unknown identity")

func (k psk) find(identity []byte) ([]byte, error) {
	if key, ok := k[string(identity)]; ok {
		return key, nil
	}
	return nil, errUnknownPSK
}

// readPSK reads lines "identity:hex"; an identity may have colons. No error has
// a key in it.
func readPSK(name string) (psk, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	keys := psk{}
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ':')
		if i <= 0 {
			return nil, fmt.Errorf("line %d: want identity:key", n)
		}
		identity := line[:i]
		key, err := hex.DecodeString(strings.TrimSpace(line[i+1:]))
		if err != nil || len(key) == 0 {
			return nil, fmt.Errorf("line %d: the key is not hex", n)
		}
		if keys[identity] != nil {
			return nil, fmt.Errorf("line %d: %q is given twice", n, identity)
		}
		keys[identity] = key
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("no key in it")
	}
	return keys, nil
}
