package jt808

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"sluice/pkg/wire/layout"
)

// basic is the location without additional items (§6, 28 bytes). Numbers are raw,
// as on the wire: signs of the coordinates are bits of status.
var basic = layout.Fields(
	layout.Field{Name: "alarm", Type: layout.U32, Doc: "alarm flags"},
	layout.Field{Name: "status", Type: layout.U32, Doc: "bit 0 ACC on, 1 positioned, 2 south, 3 west ..."},
	layout.Field{Name: "latitude", Type: layout.U32, Doc: "10^-6 degrees, without sign"},
	layout.Field{Name: "longitude", Type: layout.U32, Doc: "10^-6 degrees, without sign"},
	layout.Field{Name: "altitude", Type: layout.U16, Doc: "m"},
	layout.Field{Name: "speed", Type: layout.U16, Doc: "0.1 km/h"},
	layout.Field{Name: "direction", Type: layout.U16, Doc: "degrees from north, clockwise"},
	layout.Field{Name: "time", Type: layout.BCD(6), Doc: "YYMMDDhhmmss, GMT+8"},
)

var location = basic.With(layout.Field{
	Name: "extra", Tail: true, Doc: "additional items",
	Type: layout.Func{Decode: decodeExtra, Encode: encodeExtra, Schema: extraSchema()},
})

// item is an additional item of a location. One whose length is another than the
// type's is kept as bytes.
type item struct {
	id   byte
	name string
	body layout.Type
}

var items = []item{
	{0x01, "mileage", layout.U32},
	{0x02, "fuel_meter", layout.U16},
	{0x03, "speed", layout.U16},
	{0x04, "alarm_id", layout.U16},
	{0x05, "tire_pressure", layout.Bytes(30)},
	{0x06, "carriage_temp", layout.I16},
	{0x11, "overspeed_alarm", layout.Fields(
		layout.Field{Name: "type", Type: layout.U8},
		layout.Field{Name: "id", Type: layout.U32, If: layout.Not("type", 0)})},
	{0x12, "in_out_alarm", layout.Fields(
		layout.Field{Name: "type", Type: layout.U8},
		layout.Field{Name: "id", Type: layout.U32},
		layout.Field{Name: "direction", Type: layout.U8})},
	{0x13, "path_time_alarm", layout.Fields(
		layout.Field{Name: "id", Type: layout.U32},
		layout.Field{Name: "time", Type: layout.U16},
		layout.Field{Name: "result", Type: layout.U8})},
	{0x25, "signal", bits(4, "low_beam", "high_beam", "right_turn", "left_turn", "brake", "reverse", "fog", "side_marker",
		"horn", "air_conditioner", "neutral", "retarder", "abs", "heater", "clutch")},
	{0x2A, "io_status", bits(2, "deep_sleep", "sleep")},
	{0x2B, "analog", layout.Fields( // bits 0 to 15 are AD0: it comes second
		layout.Field{Name: "ad1", Type: layout.U16},
		layout.Field{Name: "ad0", Type: layout.U16})},
	{0x30, "rssi", layout.U8},
	{0x31, "gnss_sat_num", layout.U8},
}

// decodeExtra reads items until the body ends. One that runs past it ends the
// reading; what there is of it is kept. Vendors' items are hex under their number,
// those from 0xE0 on under "custom".
func decodeExtra(r *layout.Reader, dst []byte) ([]byte, error) {
	var seen [256]bool
	var custom, again []byte
	dst = append(dst, '{')
	for r.Left() > 0 {
		left := r.Peek()
		if len(left) < 2 || len(left) < 2+int(left[1]) {
			dst = append(comma(dst), `"truncated":"`...)
			dst = append(hex.AppendEncode(dst, left), '"')
			if _, err := r.Take(len(left)); err != nil {
				return dst, err
			}
			break
		}
		whole, err := r.Take(2 + int(left[1]))
		if err != nil {
			return dst, err
		}
		id, value := whole[0], whole[2:]
		switch {
		case seen[id]: // a key once more would hide the first
			again = append(comma(again), fmt.Sprintf(`{"id":%d,"data":"%x"}`, id, value)...)
		case id >= 0xE0:
			custom = append(comma(custom), fmt.Sprintf(`"%d":"%x"`, id, value)...)
		default:
			dst = appendItem(r, dst, id, value)
		}
		seen[id] = true
	}
	if len(custom) > 0 {
		dst = append(append(append(comma(dst), `"custom":{`...), custom...), '}')
	}
	if len(again) > 0 {
		dst = append(append(append(comma(dst), `"repeated":[`...), again...), ']')
	}
	return append(dst, '}'), nil
}

// comma goes before all but the first.
func comma(dst []byte) []byte {
	if len(dst) > 0 && dst[len(dst)-1] != '{' {
		return append(dst, ',')
	}
	return dst
}

func appendItem(r *layout.Reader, dst []byte, id byte, value []byte) []byte {
	if i, ok := slices.BinarySearchFunc(items, id, func(t item, id byte) int { return int(t.id) - int(id) }); ok {
		out := append(comma(dst), '"')
		out = append(append(out, items[i].name...), '"', ':')
		if out, err := r.Within(out, items[i].body, value); err == nil {
			return out
		}
	}
	dst = append(comma(dst), '"')
	dst = append(strconv.AppendUint(dst, uint64(id), 10), `":"`...)
	return append(hex.AppendEncode(dst, value), '"')
}

func encodeExtra(w *layout.Writer, v any) error {
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%w: an object is needed", layout.ErrType)
	}
	for _, t := range items {
		if value, given := m[t.name]; given {
			if err := putItem(w, t.id, t.body, value); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		id, err := strconv.ParseUint(name, 10, 8)
		switch {
		case err == nil:
			err = putItem(w, byte(id), layout.Hex(), m[name])
		case name == "custom":
			err = encodeExtra(w, m[name])
		case slices.ContainsFunc(items, func(t item) bool { return t.name == name }):
			err = nil
		case name == "truncated" || name == "repeated":
			err = fmt.Errorf("cannot be sent")
		default:
			err = fmt.Errorf("is no additional item")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func putItem(w *layout.Writer, id byte, t layout.Type, v any) error {
	w.B = append(w.B, id, 0)
	from := len(w.B)
	if err := w.Encode(t, v); err != nil {
		return err
	}
	n := len(w.B) - from
	if n > 255 {
		return fmt.Errorf("%w: %d bytes are more than 255", layout.ErrRange, n)
	}
	w.B[from-1] = byte(n)
	return nil
}

func extraSchema() layout.Schema {
	hexText := map[string]any{"type": "string", "pattern": "^([0-9a-f]{2})*$"}
	props := map[string]any{
		"custom":    map[string]any{"type": "object", "additionalProperties": hexText, "description": "items from 224 on, by their number"},
		"truncated": map[string]any{"type": "string", "description": "the last item ran past the body: what there is of it, hex"},
		"repeated":  map[string]any{"type": "array", "description": "items that came before, hex"},
	}
	for _, t := range items {
		props[t.name] = map[string]any(layout.SchemaOf(t.body))
	}
	return layout.Schema{
		"type": "object", "properties": props, "additionalProperties": false,
		"patternProperties": map[string]any{"^[0-9]+$": hexText},
	}
}

// bits is a number of n bytes, 2 or 4, of which each named bit, from the lowest
// on, is 0 or 1 in JSON. The others are under "reserved", if any is set.
func bits(n int, names ...string) layout.Type {
	props := map[string]any{"reserved": map[string]any{"type": "integer"}}
	for _, name := range names {
		props[name] = map[string]any{"enum": []int{0, 1}}
	}
	return layout.Func{
		Decode: func(r *layout.Reader, dst []byte) ([]byte, error) {
			b, err := r.Take(n)
			if err != nil {
				return dst, err
			}
			var v uint32
			for _, c := range b {
				v = v<<8 | uint32(c)
			}
			dst = append(dst, '{')
			for i, name := range names {
				dst = append(append(append(comma(dst), '"'), name...), `":`...)
				dst = append(dst, '0'+byte(v>>i&1))
			}
			if rest := v >> len(names) << len(names); rest != 0 {
				dst = strconv.AppendUint(append(dst, `,"reserved":`...), uint64(rest), 10)
			}
			return append(dst, '}'), nil
		},
		Encode: func(w *layout.Writer, v any) error {
			m, ok := v.(map[string]any)
			if !ok {
				return fmt.Errorf("%w: an object is needed", layout.ErrType)
			}
			var out uint64
			for name, value := range m {
				i := slices.Index(names, name)
				bit, err := strconv.ParseUint(fmt.Sprint(value), 10, 8*n)
				if err != nil || i < 0 && name != "reserved" || i >= 0 && bit > 1 {
					return fmt.Errorf("%s: %w: 0 or 1 of %s", name, layout.ErrRange, strings.Join(names, ", "))
				}
				out |= bit << max(i, 0)
			}
			for shift := 8 * (n - 1); shift >= 0; shift -= 8 {
				w.B = append(w.B, byte(out>>shift))
			}
			return nil
		},
		Schema: layout.Schema{"type": "object", "properties": props, "additionalProperties": false},
	}
}
