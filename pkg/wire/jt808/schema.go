package jt808

import (
	"encoding/json"
	"fmt"

	"sluice/pkg/wire/layout"
)

// SchemaJSON is the JSON Schema, draft 2020-12, of a message of the catalogue as
// applications see it: {"header":{...},"body":{...}}.
func (m Message) SchemaJSON() ([]byte, error) {
	number := func(high int, doc string) map[string]any {
		return map[string]any{"type": "integer", "minimum": 0, "maximum": high, "description": doc}
	}
	header := map[string]any{
		"msg_id":  map[string]any{"const": m.ID},
		"msg_sn":  number(0xFFFF, "serial number; in a command: the one to send it with"),
		"encrypt": number(7, "0 not encrypted, 1 RSA"), "len": number(1<<31-1, "of the body, bytes"),
		"phone":      map[string]any{"type": "string", "pattern": "^([0-9a-f]{12}|[0-9a-f]{20})$"},
		"proto_ver":  number(255, "of 2019: 1"),
		"frag_total": number(0xFFFF, "packets"), "frag_sn": number(0xFFFF, "this packet, from 1"),
	}
	direction := "from the terminal"
	if m.Down {
		direction = "to the terminal"
	}
	return json.MarshalIndent(layout.Schema{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": fmt.Sprintf("jt808-%04x.json", m.ID),
		"title": fmt.Sprintf("JT/T 808 0x%04X %s, %s", m.ID, m.Name, direction), "type": "object",
		"properties": map[string]any{
			"header": map[string]any{"type": "object", "properties": header, "required": []string{"msg_id"}},
			"body":   layout.SchemaOf(m.body),
		},
		"required": []string{"header"},
	}, "", "  ")
}
