package stomp

import "strings"

// Version is a version of the protocol.
type Version uint8

// The versions. Unknown is the state of a connection before CONNECT has been
// answered; it orders below every real version.
const (
	Unknown Version = iota
	V10
	V11
	V12
)

// SupportedVersions is the list a server names in the version header of the
// ERROR frame when no version is common (STOMP 1.2 "Protocol Negotiation").
const SupportedVersions = "1.0,1.1,1.2"

// String returns the version as it stands in headers, or "unknown".
func (v Version) String() string {
	switch v {
	case V10:
		return "1.0"
	case V11:
		return "1.1"
	case V12:
		return "1.2"
	default:
		return "unknown"
	}
}

// ParseVersion reads a version as it stands in the version header of a
// CONNECTED frame.
func ParseVersion(s string) (v Version, ok bool) {
	switch s {
	case "1.0":
		return V10, true
	case "1.1":
		return V11, true
	case "1.2":
		return V12, true
	default:
		return Unknown, false
	}
}

// NegotiateVersion picks the highest version in an accept-version list that
// this package speaks, and false when there is none. An empty list counts as
// a missing header, which means 1.0 (STOMP 1.2 "Protocol Negotiation").
// Blanks around the items are ignored, as are versions nobody knows.
func NegotiateVersion(acceptVersion string) (v Version, ok bool) {
	if acceptVersion == "" {
		return V10, true
	}
	for item := range strings.SplitSeq(acceptVersion, ",") {
		got, known := ParseVersion(strings.TrimSpace(item))
		if known && got > v {
			v = got
		}
	}
	return v, v != Unknown
}
