package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// Size is a number of bytes: 8192, 8KB, 1MB (binary multiples).
type Size int64

// String is the size in the largest unit that leaves no rest: "8KB".
func (s Size) String() string {
	n, unit := int64(s), ""
	for _, u := range []string{"KB", "MB", "GB", "TB"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, u
	}
	return fmt.Sprint(n, unit)
}

// Secret is a password or token. It prints as *** everywhere.
type Secret string

const hidden = "***"

// Reveal is the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String implements [fmt.Stringer].
func (s Secret) String() string { return s.masked() }

// GoString implements [fmt.GoStringer].
func (s Secret) GoString() string { return s.masked() }

// Format implements [fmt.Formatter], so that no verb gets past.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, s.masked()) }

// LogValue implements [slog.LogValuer].
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.masked()) }

// MarshalJSON implements [json.Marshaler].
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.masked()) }

// MarshalText implements [encoding.TextMarshaler].
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.masked()), nil }

// masked shows whether there is a secret, not what it is.
func (s Secret) masked() string {
	if s == "" {
		return ""
	}
	return hidden
}
