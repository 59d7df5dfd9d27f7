package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// dump shows a tree with its paths, so that a test can compare all of it.
func dump(n *Node) string {
	var b strings.Builder
	var walk func(*Node)
	walk = func(n *Node) {
		for _, c := range n.children {
			walk(c)
		}
		for _, c := range n.items {
			walk(c)
		}
		if !n.block && n.items == nil {
			fmt.Fprintf(&b, "%s=%v(%T)\n", n.path, n.value, n.value)
		}
	}
	walk(n)
	return b.String()
}

func TestParse(t *testing.T) {
	t.Setenv("SLUICE_TEST_NUMBER", "17")
	t.Setenv("SLUICE_TEST_WORD", "word")
	t.Setenv("SLUICE_TEST_QUOTED", `"two words"`)
	for name, c := range map[string]struct{ text, want string }{
		"scalars": {"a: 1\nb = two\nc true\nd: \"x y\"\ne: 1.5\nf: 8KB\ng: off",
			"a=1(int64)\nb=two(string)\nc=true(bool)\nd=x y(string)\ne=1.5(float64)\nf=8192(int64)\ng=false(bool)\n"},
		"dotted":                     {"a.b.c: 1", "a.b.c=1(int64)\n"},
		"dotted after block":         {"a { b: 1 }\na.c: 2", "a.b=1(int64)\na.c=2(int64)\n"},
		"dotted before block":        {"a.c: 2\na { b: 1 }", "a.c=2(int64)\na.b=1(int64)\n"},
		"dotted blocks merge":        {"a.x { b: 1 }\na { x { c: 2 } }", "a.x.b=1(int64)\na.x.c=2(int64)\n"},
		"dotted inside a block":      {"a {\n b.c: 1\n b.d: 2\n}", "a.b.c=1(int64)\na.b.d=2(int64)\n"},
		"lists":                      {"a: [x, 'y z', {k: 1}, [p, q]]", "a[0]=x(string)\na[1]=y z(string)\na[2].k=1(int64)\na[3][0]=p(string)\na[3][1]=q(string)\n"},
		"list over lines":            {"a: [\n 1 # one\n 2\n]", "a[0]=1(int64)\na[1]=2(int64)\n"},
		"json":                       {`{"a": {"b": 1}, "c": ["d"]}`, "a.b=1(int64)\nc[0]=d(string)\n"},
		"comments":                   {"# x { y\na: 1 # } \n// a: 2\nb: 1.5#a: 3\n", "a=1(int64)\nb=1.5(float64)\n"},
		"brackets in strings":        {"a: \"}{\"\nb: '}]'\nc: (\n}\n)\n", "a=}{(string)\nb=}](string)\nc=\n}\n(string)\n"},
		"hash begins no comment":     {"a: iot/#\nb: #b", "a=iot/#(string)\nb=#b(string)\n"},
		"quoted keys":                {"\"a b\": 1\n'c': 2", "a b=1(int64)\nc=2(int64)\n"},
		"escapes":                    {`a: "q\"\\\n\t\x41"`, "a=q\"\\\n\tA(string)\n"},
		"no escapes in single":       {`a: 'C:\new'`, "a=C:\\new(string)\n"},
		"environment":                {"a: $SLUICE_TEST_NUMBER\nb: $SLUICE_TEST_WORD\nc: $SLUICE_TEST_QUOTED", "a=17(int64)\nb=word(string)\nc=two words(string)\n"},
		"variable of the file":       {"x: 5\na: $x", "x=5(int64)\na=5(int64)\n"},
		"no variable in quotes":      {`a: "$SLUICE_TEST_WORD"`, "a=$SLUICE_TEST_WORD(string)\n"},
		"address":                    {"a: 127.0.0.1:80\nb: \":80\"", "a=127.0.0.1:80(string)\nb=:80(string)\n"},
		"equal keys, not same block": {"a { k: 1 }\nb { k: 1 }\nc: [{k: 1}, {k: 2}]", "a.k=1(int64)\nb.k=1(int64)\nc[0].k=1(int64)\nc[1].k=2(int64)\n"},
		"nothing":                    {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := Parse("f.conf", []byte(c.text))
			require.NoError(t, err)
			require.Equal(t, c.want, dump(n))
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"twice":                 {"a: 1\nb: 2\na: 3", "f.conf:3: a: is given twice, first in line 1"},
		"twice in a block":      {"x {\n y {\n  a: 1\n  a: 2\n }\n}", "f.conf:4: x.y.a: is given twice, first in line 3"},
		"twice in a list":       {"x: [\n {a: 1}\n {a: 1, a: 2}\n]", "f.conf:3: x[1].a: is given twice, first in line 3"},
		"two blocks":            {"a {\n b: 1\n}\na {\n c: 1\n}", "f.conf:4: a: is given twice, first in line 1"},
		"twice, once dotted":    {"x { a: 1 }\nx.a: 2", "f.conf:2: x.a: is given twice"},
		"dotted twice, nested":  {"g { x { a: 1 }\nx.a: 2 }", "f.conf:2: g.x.a: is given twice"},
		"value and block":       {"a: 1\na.b: 2", "f.conf:2: a.b: a is a value already"},
		"block and value":       {"a { b.c: 1 }\na.b: 2", "f.conf:2: a.b: is given twice"},
		"list and block":        {"a: []\na.b: 2", "a is a value already"},
		"truncated block":       {"a {\n b: 1\n", "f.conf: Parse error on line 3"},
		"truncated JSON":        {"{ \"a\": 1\n", "f.conf:2: a { is never closed"},
		"truncated list":        {"a: [1,\n", "f.conf:"},
		"truncated string":      {"a: \"x", "f.conf: Parse error on line 1"},
		"truncated key":         {"a", "f.conf: config is invalid"},
		"closes nothing":        {"a: 1\n}\n", "f.conf:2: } closes nothing"},
		"closes nothing within": {"a { b: 1 } }\nc: 2", "f.conf:1: } closes nothing"},
		"only a bracket":        {"}", "f.conf:1: } closes nothing"},
		"wrong bracket":         {"a: [}", "f.conf: Parse error"},
		"two closing":           {"a: [1\n]]", "f.conf: Parse error"},
		"no value":              {"x { a: }\n", "f.conf:1: x.a: has no value"},
		"half a unit":           {"b: 1\na: 5kbb\n", "f.conf:2: a: the value is not understood"},
		"number in a list":      {"a: [1,2]", "f.conf: Parse error"},
		"escape":                {`a: "\d"`, "f.conf: Parse error on line 1"},
		"variable":              {"a: $SLUICE_TEST_NOWHERE", "SLUICE_TEST_NOWHERE"},
		"empty part":            {"a..b: 1", "f.conf:1: a..b: a part of the key is empty"},
		"NUL":                   {"a: 1\nb: 2\x00c: 3", "f.conf:2: not a text: has a NUL byte"},
		"out of range":          {"a: 99999999999999999999", "out of the range"},
		"deep blocks":           {strings.Repeat("a {\n", 40) + strings.Repeat("}\n", 40), "nested deeper than 32"},
		"deep lists":            {"a: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "nested deeper than 32"},
		"deep dots":             {strings.Repeat("a.", 40) + "a: 1", "nested deeper than 32"},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := Parse("f.conf", []byte(c.text))
			require.ErrorContains(t, err, c.want)
			require.Nil(t, n)
		})
	}
}

func TestParseDeepDotsAreCheap(t *testing.T) {
	begin := time.Now()
	_, err := Parse("f", []byte(strings.Repeat("a.", 500_000)+"a: 1"))
	require.ErrorContains(t, err, "nested deeper")
	require.Less(t, time.Since(begin), 10*time.Second)
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
}

func TestParseFileWithIncludes(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"main.conf":      "a: 1\ng {\n include 'parts/one.conf'\n x: 3\n}\n",
		"parts/one.conf": "include two.conf\n\nb: 2\n",
		"parts/two.conf": "c: 4\n",
	})
	n, err := ParseFile(filepath.Join(dir, "main.conf"))
	require.NoError(t, err)
	require.Equal(t, 1, n.Get("a").Line())
	g := n.Get("g")
	require.Equal(t, 2, g.Line())
	require.Len(t, g.Children(), 3)
	require.EqualError(t, g.Get("b").Errorf("oops"), filepath.Join(dir, "parts/one.conf")+":3: g.b: oops")
	require.EqualError(t, g.Get("c").Errorf("oops"), filepath.Join(dir, "parts/two.conf")+":1: g.c: oops")
	require.EqualError(t, g.Get("x").Errorf("oops"), filepath.Join(dir, "main.conf")+":4: g.x: oops")
}

func TestParseFileRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"not there":            {nil, []string{"main.conf", "no such file"}},
		"include is not there": {map[string]string{"main.conf": "include lost.conf"}, []string{"main.conf", "lost.conf", "no such file"}},
		"syntax in included":   {map[string]string{"main.conf": "include part.conf", "part.conf": "a: 1\nb {"}, []string{"main.conf", "part.conf", "line 2"}},
		"twice in included":    {map[string]string{"main.conf": "include part.conf", "part.conf": "a: 1\na: 1"}, []string{"part.conf:2: a: is given twice"}},
		"both":                 {map[string]string{"main.conf": "include part.conf\nb: 1\nb: 2", "part.conf": "a: 1\na: 1"}, []string{"part.conf:2: a: is given", "main.conf:3: b: is given"}},
		"itself":               {map[string]string{"main.conf": "include main.conf"}, []string{"main.conf is included again"}},
		"round about":          {map[string]string{"main.conf": "include part.conf", "part.conf": "a { include './main.conf' }"}, []string{"part.conf", "main.conf is included again"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, c.files)
			_, err := ParseFile(filepath.Join(dir, "main.conf"))
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestNode(t *testing.T) {
	n, err := Parse("f", []byte("a { b: 1 }\nc: [1\n]\n"))
	require.NoError(t, err)
	require.True(t, n.IsBlock())
	require.Empty(t, n.Path())
	require.Equal(t, "b", n.Get("a").Get("b").Name())
	require.Equal(t, "a.b", n.Get("a").Get("b").Path())
	require.Nil(t, n.Get("nosuch"))
	require.False(t, n.Get("c").IsBlock())
	require.Nil(t, n.Get("c").Children())
	require.NoError(t, n.Wrap(nil))
}
