package jt808

import (
	"encoding/json"
	"fmt"
	"strconv"

	"sluice/pkg/wire/layout"
)

// paramType is how the value of a terminal parameter lies on the wire (§5). The
// bytes of those that are not here are base64.
func paramType(id uint32, ed uint8) layout.Type {
	switch {
	case id >= 0x0001 && id <= 0x0007, id == 0x0018, id == 0x0019, id == 0x001B, id == 0x001C,
		id >= 0x0020 && id <= 0x0022, id >= 0x0027 && id <= 0x0029, id >= 0x002C && id <= 0x0030,
		id >= 0x0045 && id <= 0x0047, id >= 0x0050 && id <= 0x005A, id == 0x0064, id == 0x0065,
		id >= 0x0070 && id <= 0x0074, id == 0x0080, id == 0x0093, id == 0x0095, id == 0x0100, id == 0x0102:
		return layout.U32
	case id == 0x0031, id >= 0x005B && id <= 0x005E, id == 0x0081, id == 0x0082, id == 0x0101, id == 0x0103:
		return layout.U16
	case id == 0x0084, id >= 0x0090 && id <= 0x0092, id == 0x0094:
		return layout.U8
	case id >= 0x0010 && id <= 0x0017, id == 0x001A, id == 0x001D, id >= 0x0023 && id <= 0x0026 && Edition(ed) == Edition2019,
		id >= 0x0040 && id <= 0x0044, id == 0x0048, id == 0x0049, id == 0x0083:
		return layout.TextRest()
	}
	return layout.Rest()
}

// sized is the number type of a value that has another length than it should:
// terminals write numbers wider than the table says.
func sized(t layout.Type, n int) layout.Type {
	if t != u8 && t != u16 && t != u32 {
		return t
	}
	switch n {
	case 1:
		return u8
	case 2:
		return u16
	case 4:
		return u32
	}
	return t
}

// param is one terminal parameter: {"id":1,"value":30}.
var param = layout.Func{
	Decode: func(r *layout.Reader, dst []byte) ([]byte, error) {
		head, err := r.Take(5)
		if err != nil {
			return dst, err
		}
		id := uint32(head[0])<<24 | uint32(head[1])<<16 | uint32(head[2])<<8 | uint32(head[3])
		value, err := r.Take(int(head[4]))
		if err != nil {
			return dst, err
		}
		dst = strconv.AppendUint(append(dst, `{"id":`...), uint64(id), 10)
		dst = append(dst, `,"value":`...)
		out, err := r.Within(dst, sized(paramType(id, r.Edition()), len(value)), value)
		if err != nil {
			out = appendBase64(dst, value)
		}
		return append(out, '}'), nil
	},
	Encode: func(w *layout.Writer, v any) error {
		m, _ := v.(map[string]any)
		number, ok := m["id"].(json.Number)
		id, err := strconv.ParseUint(string(number), 10, 32)
		if !ok || err != nil || len(m) != 2 {
			return fmt.Errorf(`%w: {"id":1,"value":30} is needed`, layout.ErrType)
		}
		value, given := m["value"]
		if !given {
			return fmt.Errorf("value: is missing")
		}
		w.B = append(w.B, byte(id>>24), byte(id>>16), byte(id>>8), byte(id), 0)
		from := len(w.B)
		if err := putParam(w, uint32(id), value); err != nil {
			return fmt.Errorf("value of parameter %d: %w", id, err)
		}
		if len(w.B)-from > 255 {
			return fmt.Errorf("value of parameter %d: %w: longer than 255 bytes", id, layout.ErrRange)
		}
		w.B[from-1] = byte(len(w.B) - from)
		return nil
	},
	Schema: layout.Schema{
		"type": "object", "required": []string{"id", "value"}, "additionalProperties": false,
		"properties": map[string]any{
			"id":    map[string]any{"type": "integer", "minimum": 0, "maximum": 1<<32 - 1},
			"value": map[string]any{"type": []string{"integer", "string"}, "description": "a number or text as the standard says; of other parameters base64 of the bytes"},
		},
	},
}

// putParam takes base64 also where a number is meant: then the bytes are given.
func putParam(w *layout.Writer, id uint32, value any) error {
	t := paramType(id, w.Edition())
	if _, text := value.(string); text && t != layout.TextRest() {
		t = layout.Rest()
	}
	return w.Encode(t, value)
}
