package config

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// awkward are strings that a careless writer of files gets wrong.
func awkward() []string {
	return []string{
		"", " ", "plain", "two words", `"`, `'`, `'"`, `it's "so"`, `\`, `C:\new\table`, `\"`, "line\nline", "tab\t", "cr\r\n", "$HOME", "$2a$10$x", "#no", "a#b",
		"// x", "}", "]", ")", ",", ";", "a: b", "true", "off", "5m", "17", "1.5", "include", "${clientid}/%c", "\x00", "\x01\x7f", "\xff\xfe", "\u200b\ufeff\ufffd",
		"Ünï 漢字 🚀", "\\x41", "^'\\d+$", "(", "(\nx\n)",
	}
}

type renderInner struct {
	Name string `conf:"name"`
	On   bool   `conf:"on"`
}

type renderEmbedded struct {
	Inlined string `conf:"inlined,old_name" doc:"comes from an embedded struct"`
}

type everything struct {
	renderEmbedded
	S     string                            `conf:"s" doc:"a string # with a hash"`
	B     bool                              `conf:"b"`
	I     int                               `conf:"i"`
	I8    int8                              `conf:"i8"`
	I64   int64                             `conf:"i64"`
	U16   uint16                            `conf:"u16"`
	U64   uint64                            `conf:"u64"`
	F     float64                           `conf:"f"`
	F32   float32                           `conf:"f32"`
	D     time.Duration                     `conf:"d"`
	Size  Size                              `conf:"size"`
	List  []string                          `conf:"list"`
	Ints  []int                             `conf:"ints"`
	Sizes []Size                            `conf:"sizes"`
	Times []time.Duration                   `conf:"times"`
	Rows  []renderInner                     `conf:"rows"`
	Inner renderInner                       `conf:"inner"`
	Ptr   *string                           `conf:"ptr"`
	PtrI  *renderInner                      `conf:"ptri"`
	Map   map[string]string                 `conf:"map"`
	Deep  map[string]map[string]renderInner `conf:"deep"`
	Out   string                            `conf:"-"`
}

func roundTrip(t *testing.T, in everything) {
	t.Helper()
	text := Render(in)
	n, err := Parse("rendered", []byte(text))
	require.NoError(t, err, text)
	var out everything
	require.NoError(t, Decode(n, &out), text)
	require.Equal(t, in, out, text)
}

func TestRenderRoundTrip(t *testing.T) {
	none := everything{List: []string{}, Ints: []int{}, Sizes: []Size{}, Times: []time.Duration{}, Rows: []renderInner{}}
	roundTrip(t, none)
	text := "it's"
	full := everything{
		renderEmbedded: renderEmbedded{"x"},
		S:              "s", B: true, I: -1, I8: math.MinInt8, I64: math.MaxInt64, U16: math.MaxUint16, U64: math.MaxInt64, F: 1e21, F32: -0.1, D: 90 * time.Second,
		Size: 8192, List: awkward(), Ints: []int{1, -2, 3}, Sizes: []Size{1, 1024, 5 << 20}, Times: []time.Duration{time.Second, 36 * time.Hour},
		Rows: []renderInner{{"a", true}, {"b c", false}}, Inner: renderInner{"in", true}, Ptr: &text, PtrI: &renderInner{Name: "p"},
		Map:  map[string]string{"a": "1", "b c": "2", "include": "3", `q"k`: "4"},
		Deep: map[string]map[string]renderInner{"tcp": {"default": {"n", true}}, "include": {"x y": {}}},
	}
	roundTrip(t, full)
	for _, s := range awkward() {
		full.S, full.Ptr, full.Inner.Name, full.Map["v"] = s, &s, s, s
		roundTrip(t, full)
	}
}

func TestRenderDurationsAndSizes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Millisecond: "1ms", 90 * time.Second: "1m30s", time.Minute: "1m", 10 * time.Minute: "10m", time.Hour: "1h", 30 * time.Hour: "30h",
		10*time.Hour + 20*time.Second: "10h0m20s", 24 * time.Hour: "1d", 720 * time.Hour: "30d", -time.Hour: "-1h", math.MaxInt64: "2562047h47m16.854775807s",
	} {
		require.Equal(t, want, durationText(d))
		none := everything{D: d, List: []string{}, Ints: []int{}, Sizes: []Size{}, Times: []time.Duration{}, Rows: []renderInner{}}
		roundTrip(t, none)
	}
	for size, want := range map[Size]string{
		0: "0", 1: "1", 1000: "1000", 1024: "1KB", 8192: "8KB", 1536: "1536", 1 << 20: "1MB", 3 << 30: "3GB", 1 << 40: "1TB", 1 << 60: "1048576TB", -8192: "-8KB",
	} {
		require.Equal(t, want, size.String())
		require.Equal(t, want, fmt.Sprint(size))
		roundTrip(t, everything{Size: size, List: []string{}, Ints: []int{}, Sizes: []Size{size, size}, Times: []time.Duration{}, Rows: []renderInner{}})
	}
}

func TestRenderText(t *testing.T) {
	type conf struct {
		Text  string           `conf:"text,alias" doc:"what it says"`
		Pass  Secret           `conf:"pass"`
		None  Secret           `conf:"none"`
		Node  *Node            `conf:"node" doc:"not rendered"`
		Block renderInner      `conf:"block" doc:"a block"`
		Empty map[string]int   `conf:"empty" doc:"not rendered"`
		Map   map[string]int   `conf:"map"`
		Lists map[string][]int `conf:"lists"`
	}
	got := Render(&conf{Text: "t", Pass: "hunter2", Block: renderInner{"n", true}, Map: map[string]int{"b": 2, "a": 1}, Lists: map[string][]int{"l": {1, 2}}})
	require.Equal(t, `# what it says
text: "t"
pass: "***"
none: ""
# a block
block {
  name: "n"
  on: true
}
map {
  a: 1
  b: 2
}
lists {
  l: [1, 2 ]
}
`, got)
}
