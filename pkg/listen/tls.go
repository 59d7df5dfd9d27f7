package listen

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// newTLS reads the files. Every call makes a configuration of its own, with its
// own session ticket keys: a ticket from before an update, and so from before
// another client authority, opens nothing.
func newTLS(c TLSConfig, typ string) (*tls.Config, error) {
	block := blockTLS(typ)
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("%s.certfile: %w", block, err)
	}
	version, err := parseVersion(c.MinVersion)
	if err != nil {
		return nil, fmt.Errorf("%s.min_version: %w", block, err)
	}
	out := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: version}
	if typ == WSS {
		out.NextProtos = []string{"http/1.1"} // the upgrade exists there only
	}
	if c.Verify != VerifyPeer {
		return out, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("%s.cacertfile: %w", block, err)
	}
	out.ClientCAs = x509.NewCertPool()
	if !out.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s.cacertfile: %w", block, errors.New("no certificate in "+c.CAFile))
	}
	out.ClientAuth = tls.VerifyClientCertIfGiven
	if c.FailIfNoPeerCert {
		out.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return out, nil
}

func parseVersion(s string) (uint16, error) {
	switch strings.TrimPrefix(strings.TrimPrefix(s, "tls"), "v") {
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("%q is not 1.2 or 1.3", s)
}

// commonName is that of a client certificate that was verified, or empty.
func commonName(s tls.ConnectionState) string {
	if len(s.VerifiedChains) == 0 || len(s.PeerCertificates) == 0 {
		return ""
	}
	return s.PeerCertificates[0].Subject.CommonName
}
