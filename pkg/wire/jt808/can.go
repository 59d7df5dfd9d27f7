package jt808

import (
	"encoding/json"
	"fmt"
	"strconv"

	"sluice/pkg/wire/layout"
)

// can is one CAN frame of 0x0705: its id carries three flags.
var can = layout.Func{
	Decode: func(r *layout.Reader, dst []byte) ([]byte, error) {
		b, err := r.Take(12)
		if err != nil {
			return dst, err
		}
		id := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		dst = fmt.Appendf(dst, `{"channel":%d,"frame_type":%d,"data_method":%d,"id":%d,"data":`, id>>31, id>>30&1, id>>29&1, id&(1<<29-1))
		return append(appendBase64(dst, b[4:]), '}'), nil
	},
	Encode: func(w *layout.Writer, v any) error {
		m, ok := v.(map[string]any)
		if !ok || len(m) != 5 {
			return fmt.Errorf("%w: channel, frame_type, data_method, id and data are needed", layout.ErrType)
		}
		var id uint64
		for _, part := range []struct {
			name  string
			shift uint
			bits  int
		}{{"channel", 31, 1}, {"frame_type", 30, 1}, {"data_method", 29, 1}, {"id", 0, 29}} {
			n, _ := m[part.name].(json.Number)
			value, err := strconv.ParseUint(string(n), 10, part.bits)
			if err != nil {
				return fmt.Errorf("%s: %w: a number of %d bits is needed", part.name, layout.ErrRange, part.bits)
			}
			id |= value << part.shift
		}
		w.B = append(w.B, byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
		return w.Encode(layout.Bytes(8), m["data"])
	},
	Schema: layout.Schema{
		"type": "object", "additionalProperties": false, "required": []string{"channel", "frame_type", "data_method", "id", "data"},
		"properties": map[string]any{
			"channel":     map[string]any{"enum": []int{0, 1}},
			"frame_type":  map[string]any{"enum": []int{0, 1}, "description": "1 extended"},
			"data_method": map[string]any{"enum": []int{0, 1}, "description": "1 mean"},
			"id":          map[string]any{"type": "integer", "minimum": 0, "maximum": 1<<29 - 1},
			"data":        map[string]any{"type": "string", "contentEncoding": "base64"},
		},
	},
}
