package gateway

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProps(t *testing.T) {
	for _, props := range [][]Prop{
		nil, {{"a", "1"}}, {{"a", "1"}, {"a", "2"}, {"", ""}}, {{"b&=", "%zz +\r\nEvil: x"}, {"ü", "\x00\xff"}},
	} {
		s := encodeProps(props)
		require.False(t, strings.ContainsAny(s, "\r\n \x00"), s)
		require.Equal(t, props, decodeProps(s))
	}
	require.Equal(t, []Prop{{"a", "1"}, {"b", ""}}, decodeProps("a=1&junk&%zz=1&c=%&b="))
}

func FuzzProps(f *testing.F) {
	f.Add("a", "1", "b", "2", "a=1&b")
	f.Add("", "&", "=", "\r\n", "%")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2, raw string) {
		props := []Prop{{n1, v1}, {n2, v2}}
		require.Equal(t, props, decodeProps(encodeProps(props)))
		once := decodeProps(raw) // of a foreign application
		if len(once) > 0 {
			require.Equal(t, once, decodeProps(encodeProps(once)))
		}
	})
}
