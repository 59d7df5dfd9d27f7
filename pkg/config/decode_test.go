package config

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type decodeFrame struct {
	MaxHeaders int  `conf:"max_headers"`
	MaxBody    Size `conf:"max_body"`
}

type decodeCommon struct {
	Bind    string        `conf:"bind,listen_on"`
	Timeout time.Duration `conf:"timeout"`
}

// word is a type that reads its text itself.
type word string

func (w *word) UnmarshalText(b []byte) error {
	if string(b) == "bad" {
		return errors.New("is a bad word")
	}
	*w = word("<" + string(b) + ">")
	return nil
}

// byName is a map whose elements have defaults.
type byName map[string]decodeFrame

func (b *byName) UnmarshalConf(n *Node) error {
	if !n.IsBlock() {
		return n.Errorf("must be names")
	}
	*b = byName{}
	var errs []error
	for _, c := range n.Children() {
		f := decodeFrame{MaxHeaders: 10}
		errs = append(errs, Decode(c, &f))
		(*b)[c.Name()] = f
	}
	return errors.Join(errs...)
}

type decodeAll struct {
	decodeCommon
	S       string                 `conf:"s"`
	B       bool                   `conf:"b"`
	I       int                    `conf:"i"`
	I8      int8                   `conf:"i8"`
	U       uint                   `conf:"u"`
	U8      uint8                  `conf:"u8"`
	F       float64                `conf:"f"`
	D       time.Duration          `conf:"d"`
	Size    Size                   `conf:"size"`
	Pass    Secret                 `conf:"pass"`
	Frame   decodeFrame            `conf:"frame"`
	Ptr     *string                `conf:"ptr"`
	PtrF    *decodeFrame           `conf:"ptrf"`
	List    []string               `conf:"list"`
	Rows    []decodeFrame          `conf:"rows"`
	Map     map[string]decodeFrame `conf:"map"`
	Word    word                   `conf:"word"`
	Addr    netip.Addr             `conf:"addr"`
	Named   byName                 `conf:"named"`
	Raw     *Node                  `conf:"raw"`
	Hidden  string                 `conf:"-"`
	Untaged string
}

func decode(t *testing.T, text string, into any) error {
	t.Helper()
	n, err := Parse("f.conf", []byte(text))
	require.NoError(t, err)
	return Decode(n, into)
}

func TestDecodeEveryType(t *testing.T) {
	var got decodeAll
	require.NoError(t, decode(t, `
s: text
b: yes
i: -7
i8: -128
u: 7
u8: 255
f: 3
d: "1d12h"
size: 8KB
pass: "hunter2"
frame.max_headers: 3
frame { max_body: 1MB }
ptr: p
ptrf { max_headers: 4 }
list: [x, "y"]
rows: [ {max_headers: 1}, {max_headers: 2 } ]
map { a { max_headers: 5 } }
word: w
addr: "127.0.0.1"
named { one { max_body: 1 }, two { max_headers: 2 } }
raw { anything: [1, {b: c}] }
listen_on: "127.0.0.1:1"
timeout: 30s
`, &got))
	raw := got.Raw
	got.Raw = nil
	p := "p"
	require.Equal(t, decodeAll{
		decodeCommon: decodeCommon{Bind: "127.0.0.1:1", Timeout: 30 * time.Second},
		S:            "text", B: true, I: -7, I8: -128, U: 7, U8: 255, F: 3, D: 36 * time.Hour, Size: 8192, Pass: "hunter2",
		Frame: decodeFrame{3, 1 << 20}, Ptr: &p, PtrF: &decodeFrame{MaxHeaders: 4}, List: []string{"x", "y"},
		Rows: []decodeFrame{{MaxHeaders: 1}, {MaxHeaders: 2}}, Map: map[string]decodeFrame{"a": {MaxHeaders: 5}},
		Word: "<w>", Addr: netip.MustParseAddr("127.0.0.1"), Named: byName{"one": {10, 1}, "two": {2, 0}},
	}, got)
	require.Equal(t, "raw", raw.Path())
	require.Equal(t, "raw.anything[0]=1(int64)\nraw.anything[1].b=c(string)\n", dump(raw))
}

func TestDecodeRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"string":                {"s: 5", "f.conf:1: s: must be a string in quotes, not a number"},
		"string from a word":    {"s: on", "f.conf:1: s: must be a string in quotes, not true or false"},
		"string from a block":   {"s { a: 1 }", "f.conf:1: s: must be a string in quotes, not a block"},
		"bool":                  {"b: \"true\"", "f.conf:1: b: must be true or false, not a string"},
		"whole number":          {"i: 1.5", "f.conf:1: i: must be a whole number, not a fraction"},
		"number":                {"f: x", "f.conf:1: f: must be a number, not a string"},
		"size":                  {"size: \"8KB\"", "f.conf:1: size: must be a whole number, not a string"},
		"too large":             {"i8: 128", "f.conf:1: i8: 128 is out of range"},
		"too small":             {"i8: -129", "f.conf:1: i8: -129 is out of range"},
		"negative":              {"u: -1", "f.conf:1: u: -1 is out of range"},
		"too large, unsigned":   {"u8: 256", "f.conf:1: u8: 256 is out of range"},
		"block":                 {"\n\nframe: 5", "f.conf:3: frame: must be a block { ... }, not a number"},
		"in a block":            {"frame {\n max_headers: x\n}", "f.conf:2: frame.max_headers: must be a whole number, not a string"},
		"dotted":                {"\nframe.max_headers: x", "f.conf:2: frame.max_headers: must be a whole number"},
		"list":                  {"list: x", "f.conf:1: list: must be a list [ ... ], not a string"},
		"in a list":             {"list: [a, 5, b]", "f.conf:1: list[1]: must be a string in quotes, not a number"},
		"in a block of a list":  {"rows: [\n {max_headers: 1}\n {max_headers: x}\n]", "f.conf:3: rows[1].max_headers: must be a whole number"},
		"map":                   {"map: x", "f.conf:1: map: must be a block { ... }, not a string"},
		"in a map":              {"map.a.max_headers: x", "f.conf:1: map.a.max_headers: must be"},
		"pointer":               {"ptr: 5", "f.conf:1: ptr: must be a string in quotes"},
		"time":                  {"s: 2020-01-01T00:00:00Z", "f.conf:1: s: must be a string in quotes, not a time.Time"},
		"text":                  {"word: bad", "f.conf:1: word: is a bad word"},
		"text from a number":    {"word: 5", "f.conf:1: word: must be a string in quotes, not a number"},
		"address":               {"addr: x", "f.conf:1: addr: "},
		"own reader":            {"named: x", "f.conf:1: named: must be names"},
		"in own reader":         {"named {\n a { max_header: 1 }\n}", "f.conf:2: named.a.max_header: unknown key; did you mean max_headers?"},
		"duration, no quotes":   {"d: 5m", `f.conf:1: d: must be a time with its unit in quotes, like "30s" or "5m", not a number`},
		"duration, a number":    {"d: 5", `f.conf:1: d: must be a time with its unit in quotes`},
		"duration, no unit":     {"d: \"5\"", `f.conf:1: d: "5" is not a time such as "500ms"`},
		"duration, two days":    {"d: \"1d1d\"", `f.conf:1: d: "1d1d" is not a time`},
		"unknown":               {"frame.nosuch: 1", "f.conf:1: frame.nosuch: unknown key; known here: max_body, max_headers"},
		"unknown, near":         {"frame.max_hedaers: 1", "f.conf:1: frame.max_hedaers: unknown key; did you mean max_headers?"},
		"hidden":                {"Hidden: 1", "f.conf:1: Hidden: unknown key"},
		"dash":                  {"\"-\": 1", "f.conf:1: -: unknown key"},
		"without tag":           {"Untaged: 1", "f.conf:1: Untaged: unknown key"},
		"embedded by type name": {"decodeCommon { bind: x }", "f.conf:1: decodeCommon: unknown key"},
		"alias and key":         {"bind: x\nlisten_on: y", "f.conf:2: listen_on: is another name of bind, which is given too"},
		"key after alias":       {"listen_on: x\nbind: y", "f.conf:2: bind: is another name of listen_on, which is given too"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, decode(t, c.text, &decodeAll{}), c.want)
		})
	}
}

func TestDecodeTellsAllErrors(t *testing.T) {
	err := decode(t, "s: 1\nnosuch: 1\nframe {\n max_headers: x\n max_bodi: 1\n}\nd: 5m\nrows: [{max_body: x}, 7 ]\nnamed { a: 1, b { c: 2 } }\n", &decodeAll{})
	lines := []string{
		"f.conf:1: s: must be", "f.conf:2: nosuch: unknown", "f.conf:4: frame.max_headers: must be", "f.conf:5: frame.max_bodi: unknown", "f.conf:7: d: must be",
		"f.conf:8: rows[0].max_body: must be", "f.conf:8: rows[1]: must be a block", "f.conf:9: named.a: must be a block", "f.conf:9: named.b.c: unknown",
	}
	for _, want := range lines {
		require.ErrorContains(t, err, want)
	}
}

func TestDecodeKeepsDefaults(t *testing.T) {
	got := decodeAll{
		S: "default", Frame: decodeFrame{1, 2}, List: []string{"a", "b"},
		Map: map[string]decodeFrame{"a": {1, 2}, "b": {3, 4}},
	}
	require.NoError(t, decode(t, "frame.max_headers: 9\nlist: [c]\nmap { b.max_headers: 9, c.max_headers: 7 }", &got))
	require.Equal(t, "default", got.S)
	require.Equal(t, decodeFrame{9, 2}, got.Frame)
	require.Equal(t, []string{"c"}, got.List, "lists are replaced")
	require.Equal(t, map[string]decodeFrame{"a": {1, 2}, "b": {9, 4}, "c": {7, 0}}, got.Map)
	require.Nil(t, got.Ptr)
	require.Nil(t, got.Raw)
}

func TestDecodeVariables(t *testing.T) {
	var got decodeAll
	require.NoError(t, decode(t, "LIMIT: 7\ni: $LIMIT\nframe.max_headers: $LIMIT", &got))
	require.Equal(t, 7, got.I)
	require.Equal(t, 7, got.Frame.MaxHeaders)
	require.ErrorContains(t, decode(t, "LIMIT: 7", &decodeAll{}), "f.conf:1: LIMIT: unknown key", "nothing refers to it")
}

type validated struct {
	A  int `conf:"a"`
	In struct {
		B int `conf:"b"`
	} `conf:"in"`
	asked int
}

var errNegative = errors.New("must not be negative")

func (v *validated) Validate() error {
	v.asked++
	if v.A >= 0 {
		return nil
	}
	return errors.Join(fmt.Errorf("a: %w", errNegative), errors.Join(fmt.Errorf("in.b: %w", errNegative)), nil)
}

func TestDecodeValidates(t *testing.T) {
	n, err := Parse("f.conf", []byte("\nx {\n y { a: -1 }\n}"))
	require.NoError(t, err)
	err = Decode(n.Get("x").Get("y"), &validated{})
	require.EqualError(t, err, "f.conf:3: x.y.a: must not be negative\nf.conf:3: x.y.in.b: must not be negative")
	require.ErrorIs(t, err, errNegative)

	require.EqualError(t, decode(t, "a: -1", &validated{}), "f.conf: a: must not be negative\nf.conf: in.b: must not be negative", "the root has no line")

	var v validated
	require.NoError(t, decode(t, "a: 1", &v))
	require.Equal(t, 1, v.asked)
	require.Error(t, decode(t, "a: x", &v))
	require.Equal(t, 1, v.asked, "what could not be read is not validated")
}

func TestDecodeMisuse(t *testing.T) {
	n, err := Parse("f", []byte("c: 1"))
	require.NoError(t, err)
	require.ErrorContains(t, Decode(n, decodeFrame{}), "no pointer to a struct")
	require.ErrorContains(t, Decode(n, new(int)), "no pointer to a struct")
	require.ErrorContains(t, Decode(n, &struct {
		C chan int `conf:"c"`
	}{}), "f:1: c: config: a chan int cannot be read")
	require.True(t, HasKey(&decodeAll{}, "bind"))
	require.True(t, HasKey(&decodeAll{}, "listen_on"))
	require.False(t, HasKey(&decodeAll{}, "Hidden"))
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "500ms": 500 * time.Millisecond, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "0d": 0, "1d0.5s": 24*time.Hour + time.Second/2,
	} {
		got, err := ParseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "5", "d", "-1d", "1.5d", "1d-1h", "1dx", "12h1d", "106752d", "106751d24h", "99999999999d", "1D"} {
		_, err := ParseDuration(text)
		require.Error(t, err, text)
	}
}
