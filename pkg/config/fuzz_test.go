package config

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/conf"
	"github.com/stretchr/testify/require"
)

// FuzzParse: no text makes it panic or hang, a refusal says why, and what is
// taken has the same keys and items for the parser and for our scanner.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"a: 1\nb { c: 'x' }", "a.b.c: [1, {d: e}\n]", `{"a": {"b": [true]}}`, "a: \"\\x41\\n\"", "a { b: 1 }\na.b: 2",
		"include x\n", "a: (\nblock\n)\n", "a: 5kb", "a: $HOME", "a: 1.5#c\nb: -3 // d", "a: 2020-01-01T00:00:00Z", "}", "a: [}", "a {\n b: 1\n",
		"a: 127.0.0.1:80", "'k k' = \"v\";b: 2", "a: '\nb: 1'", "a\\ b: 1", "a: }", "a{b: 1}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ToLower(text), "include") || strings.Contains(text, "$") {
			return // the outside world
		}
		begin := time.Now()
		n, err := Parse("f", []byte(text))
		require.Less(t, time.Since(begin), 10*time.Second)
		if err != nil {
			require.Nil(t, n)
			require.NotEmpty(t, err.Error())
			return
		}
		require.True(t, n.IsBlock())
		_ = Decode(n, &struct{}{})

		m, err := conf.Parse(text)
		require.NoError(t, err)
		requireSame(t, scan("f", text).root, m)
	})
}

// requireSame wants a key of the scanner for each of the parser.
func requireSame(t *testing.T, w *written, got any) {
	switch got := got.(type) {
	case map[string]any:
		require.Len(t, w.keys, len(got))
		for key, v := range got {
			require.Contains(t, w.keys, key)
			requireSame(t, w.keys[key], v)
		}
	case []any:
		require.Len(t, w.items, len(got))
		for i, v := range got {
			requireSame(t, w.items[i], v)
		}
	}
}

// FuzzQuote: any string comes back as it was written.
func FuzzQuote(f *testing.F) {
	for _, s := range awkward() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse("f", []byte("a: "+quote(s)+"\nb: ["+quote(s)+"]\n"))
		require.NoError(t, err)
		require.Equal(t, s, n.Get("a").value)
		require.Equal(t, s, n.Get("b").items[0].value)
	})
}
