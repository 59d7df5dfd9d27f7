package jt808

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"sluice/pkg/wire/layout"
)

// leaves are the values of JSON, as text: numbers, strings, and those of strings
// that are base64 also as hex, so that they compare with the vectors.
func leaves(v any, all map[string]int) {
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			leaves(x, all)
		}
		for _, t := range items { // in the vectors some are hex, and flags one number
			raw, err := layout.EncodeValue(nil, t.body, v[t.name], layout.Options{})
			if err != nil {
				continue
			}
			all[hex.EncodeToString(raw)]++
			if _, flags := v[t.name].(map[string]any); flags && len(raw) <= 4 {
				n := 0
				for _, c := range raw {
					n = n<<8 | int(c)
				}
				all[strconv.Itoa(n)]++
			}
		}
	case []any:
		for _, x := range v {
			leaves(x, all)
		}
	case string:
		all[v]++
		if b, err := base64.StdEncoding.DecodeString(v); err == nil {
			all[hex.EncodeToString(b)]++
		}
	case json.Number:
		all[v.String()]++
	case bool:
		all[strconv.FormatBool(v)]++
	}
}

// wanted are the values of a vector. Those that the vector gives twice, or that
// only say how it was read, are left out: the form, and hex beside a value.
func wanted(v any, key string, all *[]string) {
	switch v := v.(type) {
	case map[string]any:
		if number, both := v["value"].(json.Number); both && v["hex"] != nil { // the bytes of a reserved parameter are enough
			wanted(v["id"], "id", all)
			*all = append(*all, number.String()+"|"+v["hex"].(string))
			return
		}
		for k, x := range v {
			switch {
			case k == "form" || k == "layout" || k == "can_id_raw" || k == "declared":
			case k == "hex" && len(v) > 1: // beside the value that it means, or the id of an item
				if _, of := v["value"]; !of && len(v) == 2 {
					*all = append(*all, x.(string))
				}
			case k == "id" && v["hex"] != nil && v["value"] == nil: // the number of an additional item is a key
			case k == "len":
			default:
				wanted(x, k, all)
			}
		}
	case []any:
		for _, x := range v {
			wanted(x, key, all)
		}
	case string:
		if n, err := strconv.ParseUint(strings.TrimPrefix(v, "0x"), 16, 32); err == nil && strings.HasPrefix(v, "0x") {
			v = strconv.FormatUint(n, 10)
		}
		*all = append(*all, v)
	case json.Number:
		*all = append(*all, v.String())
	case bool:
		*all = append(*all, strconv.FormatBool(v))
	}
}

func parseJSON(t testing.TB, b []byte) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	var v any
	require.NoError(t, d.Decode(&v), "%s", b)
	return v
}

// wholes are all messages of the vectors: single ones, and those of series.
func wholes(t testing.TB, v vector) (Frame, bool) {
	if v.Expect != "ok" && !(v.Expect == "error" && v.Layer == "body") {
		return Frame{}, false
	}
	f, err := single(t, v, 0)
	require.NoError(t, err, v.Name)
	return f, !f.Sub()
}

func TestVectorBodies(t *testing.T) {
	n := 0
	for _, v := range vectors(t) {
		f, ok := wholes(t, v)
		if !ok {
			continue
		}
		n++
		ed := GuessEdition(f.Header, f.Body)
		got, err := AppendJSON([]byte("before"), f, ed, Options{GBK: true})
		if v.Expect == "error" {
			require.Error(t, err, v.Name)
			require.Equal(t, "before", string(got), v.Name)
			continue
		}
		require.NoError(t, err, v.Name)
		whole := parseJSON(t, got[len("before"):]).(map[string]any)
		have := map[string]int{}
		leaves(whole["body"], have)
		var want []string
		wanted(parseJSON(t, v.Decoded.Body), "", &want)
		for _, w := range want {
			one, other, _ := strings.Cut(w, "|")
			if have[one] == 0 && (other == "" || have[other] == 0) && f.Encrypt == 0 {
				require.Fail(t, "value is missing", "%s: %q\n%s\n%s", v.Name, w, got, v.Decoded.Body)
			}
		}
	}
	require.Greater(t, n, 300)
}

// TestVectorBodiesAgain: what was decoded is encoded to the same bytes.
func TestVectorBodiesAgain(t *testing.T) {
	same, other := 0, []string{}
	for _, v := range vectors(t) {
		f, ok := wholes(t, v)
		if !ok || v.Expect != "ok" || f.Encrypt != 0 {
			continue
		}
		ed := GuessEdition(f.Header, f.Body)
		text, err := Decode(nil, f.ID, ed, f.Body, Options{GBK: true})
		require.NoError(t, err)
		if strings.Contains(string(text), `"truncated"`) || strings.Contains(string(text), `"repeated"`) || strings.Contains(string(text), "\uFFFD") {
			continue
		}
		body, err := EncodeValue(nil, f.ID, ed, parseJSON(t, text), Options{GBK: true})
		if err != nil || hex.EncodeToString(body) != hex.EncodeToString(f.Body) {
			// Padding with blanks, NULs after text and items in another order are
			// written otherwise; then at least the meaning is the same.
			again, e := Decode(nil, f.ID, ed, body, Options{GBK: true})
			if err != nil || e != nil || !reflect.DeepEqual(parseJSON(t, again), parseJSON(t, text)) {
				other = append(other, fmt.Sprintf("%s: %v %v\n%s\n%s\n%x\n%x", v.Name, err, e, text, again, f.Body, body))
			}
			continue
		}
		same++
	}
	require.Zero(t, len(other), strings.Join(other, "\n"))
	require.Greater(t, same, 250)
}

// TestSeriesBodies: messages that come in packets are decoded when they are whole.
func TestSeriesBodies(t *testing.T) {
	n := 0
	for _, v := range vectors(t) {
		if v.Expect != "series" {
			continue
		}
		var frames []string
		require.NoError(t, json.Unmarshal(v.Decoded.Frames, &frames))
		a := Assembler{Bytes: 1 << 20, Open: 4}
		for _, h := range frames {
			all, _ := split(unhex(t, h), 0)
			w, done, _ := a.Add(all[0].frame, 0, time.Time{})
			if !done {
				continue
			}
			n++
			text, err := Decode(nil, w.ID, GuessEdition(w.Header, w.Body), w.Body, Options{GBK: true})
			require.NoError(t, err, v.Name)
			have, want := map[string]int{}, []string{}
			leaves(parseJSON(t, text), have)
			wanted(parseJSON(t, v.Decoded.Body), "", &want)
			for _, x := range want {
				one, other, _ := strings.Cut(x, "|")
				require.True(t, have[one] > 0 || have[other] > 0, "%s: %q\n%s", v.Name, x, text)
			}
		}
	}
	require.Equal(t, 7, n)
}

// TestCommandsAreChecked: what is wrong is said with its place.
func TestCommandsAreChecked(t *testing.T) {
	for _, c := range []struct {
		id         uint16
		ed         Edition
		body, want string
	}{
		{0x8103, Edition2013, `{"params":[{"id":1,"value":5000000000}]}`, "params[0]: value of parameter 1: is out of range: 5000000000 is above 4294967295"},
		{0x8103, Edition2013, `{"length":3,"params":[]}`, "length: is 3, but params has 0"},
		{0x8600, Edition2013, `{"type":0,"areas":[{"id":1,"flag":0,"center_latitude":1,"center_longitude":2,"radius":-1}]}`, "areas[0].radius: is out of range: -1 is below 0"},
		{0x8600, Edition2013, `{"type":0,"areas":[{"id":1,"flag":1,"center_latitude":1,"center_longitude":2,"radius":9}]}`, "areas[0].start_time: is missing"},
		{0x8600, Edition2013, `{"type":0,"areas":[{"id":1,"flag":0,"start_time":"000000000000","center_latitude":1,"center_longitude":2,"radius":9}]}`, "areas[0].start_time: is there only if bit 0 of flag is set"},
		{0x8300, Edition2019, `{"flag":1,"txt":"x"}`, "txt: is not a field of this message"},
		{0x8300, Edition2013, `{"flag":"1","text":"x"}`, "flag: has the wrong type: a number is needed, not a string"},
		{0x8300, Edition2013, `{"flag":1.5,"text":"x"}`, "flag: is out of range: 1.5 is not a whole number that fits"},
		{0x8300, Edition2013, `[]`, "has the wrong type: an object is needed, not an array"},
		{0x9999, Edition2013, `{}`, "is not in the catalogue"},
	} {
		got, err := EncodeValue([]byte("before"), c.id, c.ed, parseJSON(t, []byte(c.body)), Options{GBK: true})
		require.ErrorContains(t, err, c.want, c.body)
		require.Equal(t, "before", string(got))
	}
	body, err := EncodeValue(nil, 0x8300, Edition2019, parseJSON(t, []byte(`{"flag":1,"text":"你好"}`)), Options{GBK: true})
	require.NoError(t, err)
	require.Equal(t, "0101c4e3bac3", hex.EncodeToString(body))
	body, err = EncodeValue(nil, 0x9101, Edition2013, parseJSON(t, []byte(`{"unknown_id":true,"data":"AQI="}`)), Options{})
	require.NoError(t, err)
	require.Equal(t, []byte{1, 2}, body)
}

func TestCatalogueIsInOrder(t *testing.T) {
	for i, m := range Messages() {
		if i > 0 {
			require.Less(t, Messages()[i-1].ID, m.ID)
		}
		require.Equal(t, m.ID >= 0x8000, m.Down, m.Name)
		schema, err := m.SchemaJSON()
		require.NoError(t, err)
		require.True(t, json.Valid(schema))
		_, found := Lookup(m.ID)
		require.True(t, found)
	}
}

// FuzzBody: no body ends the process, all output is JSON, and what is encoded
// from it means the same.
func FuzzBody(f *testing.F) {
	for _, v := range vectors(f) {
		if v.Expect != "ok" {
			continue
		}
		if one, err := single(f, v, 0); err == nil {
			f.Add(one.ID, uint8(GuessEdition(one.Header, one.Body)), one.Body)
		}
	}
	f.Fuzz(func(t *testing.T, id uint16, ed uint8, body []byte) {
		edition := Edition(ed % 4)
		text, err := Decode(nil, id, edition, body, Options{GBK: true})
		if err != nil {
			require.Empty(t, text)
			return
		}
		require.True(t, json.Valid(text), "%s", text)
		again, err := EncodeValue(nil, id, edition, parseJSON(t, text), Options{GBK: true})
		if err != nil {
			return // another edition's form, or text that cannot be written again
		}
		_, err = Decode(nil, id, edition, again, Options{GBK: true})
		require.NoError(t, err, "%s", text)
	})
}

func BenchmarkLocation(b *testing.B) {
	for _, v := range vectors(b) {
		if v.Name != "jt808-0200-2019" {
			continue
		}
		f, err := single(b, v, 0)
		require.NoError(b, err)
		out := make([]byte, 0, 2048)
		b.ReportAllocs()
		for b.Loop() {
			if out, err = AppendJSON(out[:0], f, Edition2019, Options{GBK: true}); err != nil {
				b.Fatal(err)
			}
		}
	}
}
