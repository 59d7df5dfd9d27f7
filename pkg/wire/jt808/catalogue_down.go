package jt808

import (
	"slices"

	"sluice/pkg/wire/layout"
)

// catalogue has all messages in the order of their ids.
var catalogue = slices.Concat(uplinks(), downlinks(), areas(), downlinksToo())

// counted is a number of items with its list. The edition of 2011 says in a byte
// of its own how many are in this packet.
func counted(list string, item layout.Type) []layout.Field {
	return []layout.Field{
		{Name: "length", Type: u8, Size: list},
		{Name: "packets", Type: u8, If: only2011, Default: 0, Doc: "items in this packet"},
		{Name: list, Type: layout.ListOf("length", item)},
	}
}

func downlinks() []Message {
	none := layout.Not("type", 0)
	events := counted("events", fields(
		f{Name: "id", Type: u8},
		f{Name: "length", Type: u8, Size: "content", Tail: true},
		f{Name: "content", Type: layout.TextOf("length"), Tail: true}))
	for i := range events {
		events[i].Tail = true
	}
	return []Message{
		{ID: 0x8001, Down: true, Name: "platform general response", body: general},
		{ID: 0x8003, Down: true, Name: "ask for missing packets", Since: Edition2013, body: missing},
		{ID: 0x8004, Down: true, Name: "server time", Since: Edition2019, body: fields(f{Name: "time", Type: time6, Doc: "UTC"})},
		{ID: 0x8100, Down: true, Name: "register answer", body: fields(
			f{Name: "seq", Type: u16}, f{Name: "result", Type: u8},
			f{Name: "auth_code", Type: layout.TextRest(), If: layout.Is("result", 0)})},
		{ID: 0x8103, Down: true, Name: "set parameters", body: params},
		{ID: 0x8104, Down: true, Name: "query all parameters", Answer: 0x0104, body: empty},
		{ID: 0x8105, Down: true, Name: "terminal control", body: fields(f{Name: "command", Type: u8}, f{Name: "param", Type: layout.TextRest(), Default: ""})},
		{ID: 0x8106, Down: true, Name: "query some parameters", Since: Edition2013, Answer: 0x0104, body: fields(
			f{Name: "length", Type: u8, Size: "ids"}, f{Name: "ids", Type: layout.ListOf("length", u32)})},
		{ID: 0x8107, Down: true, Name: "query attributes", Since: Edition2013, Answer: 0x0107, body: empty},
		{ID: 0x8108, Down: true, Name: "upgrade package", Since: Edition2013, body: fields(
			f{Name: "type", Type: u8}, f{Name: "manufacturer", Type: layout.Text(5)},
			f{Name: "ver_len", Type: u8, Size: "version"}, f{Name: "version", Type: layout.TextOf("ver_len")},
			f{Name: "fw_len", Type: u32, Size: "firmware"}, f{Name: "firmware", Type: layout.BytesOf("fw_len")})},
		{ID: 0x8201, Down: true, Name: "query location", Answer: 0x0201, body: empty},
		{ID: 0x8202, Down: true, Name: "temporary tracking", body: fields(
			f{Name: "period", Type: u16, Doc: "s, 0 = stop"}, f{Name: "expiry", Type: u32, Tail: true, Doc: "s"})},
		{ID: 0x8203, Down: true, Name: "confirm alarms", Since: Edition2013, body: fields(f{Name: "seq", Type: u16}, f{Name: "type", Type: u32})},
		{ID: 0x8204, Down: true, Name: "link check", Since: Edition2019, body: empty},
		{ID: 0x8300, Down: true, Name: "text", body: fields(
			f{Name: "flag", Type: u8},
			f{Name: "text_type", Type: u8, If: since2019, Default: 1, Doc: "1 notice, 2 service"},
			f{Name: "text", Type: layout.TextRest()})},
		{ID: 0x8301, Down: true, Name: "set events", body: fields(append([]layout.Field{{Name: "type", Type: u8}}, events...)...)},
		{ID: 0x8302, Down: true, Name: "question", Answer: 0, body: fields(
			f{Name: "flag", Type: u8}, f{Name: "length", Type: u8, Size: "question"}, f{Name: "question", Type: layout.TextOf("length")},
			f{Name: "answers", Type: layout.ListRest(fields(
				f{Name: "id", Type: u8}, f{Name: "len", Type: u16, Size: "answer"}, f{Name: "answer", Type: layout.TextOf("len")}))})},
		{ID: 0x8303, Down: true, Name: "information menu", body: fields(append([]layout.Field{{Name: "type", Type: u8}}, when(none, counted("menus", fields(
			f{Name: "type", Type: u8}, f{Name: "length", Type: u16, Size: "info"}, f{Name: "info", Type: layout.TextOf("length")})))...)...)},
		{ID: 0x8304, Down: true, Name: "information", body: fields(
			f{Name: "type", Type: u8}, f{Name: "length", Type: u16, Size: "info"},
			f{Name: "packet_length", Type: u16, If: only2011, Size: "info"}, f{Name: "info", Type: layout.TextOf("length")})},
		{ID: 0x8400, Down: true, Name: "call back", body: fields(f{Name: "type", Type: u8, Doc: "0 talk, 1 listen"}, f{Name: "phone", Type: layout.TextRest()})},
		{ID: 0x8401, Down: true, Name: "phone book", body: fields(append([]layout.Field{{Name: "type", Type: u8}}, when(none, counted("contacts", fields(
			f{Name: "type", Type: u8},
			f{Name: "phone_len", Type: u8, Size: "phone"}, f{Name: "phone", Type: layout.TextOf("phone_len")},
			f{Name: "name_len", Type: u8, Size: "name"}, f{Name: "name", Type: layout.TextOf("name_len")})))...)...)},
		{ID: 0x8500, Down: true, Name: "vehicle control", Answer: 0x0500, body: layout.OneOf(forms,
			fields(f{Name: "flag", Type: u8, Doc: "bit 0: 0 unlock, 1 lock"}),
			fields(f{Name: "count", Type: u16, Size: "controls"}, f{Name: "controls", Type: layout.ListOf("count", fields(
				f{Name: "id", Type: u16, Doc: "1 doors"}, f{Name: "param", Type: u8, Doc: "of doors: 0 lock, 1 open"}))}))},
	}
}

// when has fields be there on a condition, besides their own.
func when(c *layout.Cond, all []layout.Field) []layout.Field {
	out := slices.Clone(all)
	for i := range out {
		if out[i].If != nil {
			out[i].If = layout.And(c, out[i].If)
		} else {
			out[i].If = c
		}
		out[i].Tail = true
	}
	return out
}

func downlinksToo() []Message {
	search := []layout.Field{
		{Name: "type", Type: u8}, {Name: "channel", Type: u8, Doc: "0 all"}, {Name: "event", Type: u8},
		{Name: "start_time", Type: time6}, {Name: "end_time", Type: time6},
	}
	return []Message{
		{ID: 0x8700, Down: true, Name: "fetch driving record", Answer: 0x0700, body: fields(f{Name: "command", Type: u8}, f{Name: "param", Type: layout.Rest(), Default: ""})},
		{ID: 0x8701, Down: true, Name: "write driving record parameters", body: fields(f{Name: "command", Type: u8}, f{Name: "param", Type: layout.Rest(), Default: ""})},
		{ID: 0x8702, Down: true, Name: "ask driver identity", Since: Edition2013, Answer: 0x0702, body: empty},
		{ID: 0x8800, Down: true, Name: "multimedia data answer", body: layout.OneOf(is2011,
			fields(f{Name: "seq", Type: u16}, f{Name: "id", Type: u32}, f{Name: "length", Type: u8, Size: "ids", Tail: true}, f{Name: "ids", Type: layout.ListOf("length", u16), Tail: true}),
			fields(f{Name: "id", Type: u32}, f{Name: "length", Type: u8, Size: "ids", Tail: true}, f{Name: "ids", Type: layout.ListOf("length", u16), Tail: true}))},
		{ID: 0x8801, Down: true, Name: "camera shot", Answer: 0x0805, body: fields(
			f{Name: "channel_id", Type: u8}, f{Name: "command", Type: u16, Doc: "0 stop, 65535 video, else pictures"}, f{Name: "period", Type: u16, Doc: "s"},
			f{Name: "save", Type: u8}, f{Name: "resolution", Type: u8}, f{Name: "quality", Type: u8}, f{Name: "bright", Type: u8},
			f{Name: "contrast", Type: u8}, f{Name: "saturate", Type: u8}, f{Name: "chromaticity", Type: u8})},
		{ID: 0x8802, Down: true, Name: "search stored media", Answer: 0x0802, body: fields(search...)},
		{ID: 0x8803, Down: true, Name: "upload stored media", body: fields(append(search[:5:5], f{Name: "delete", Type: u8})...)},
		{ID: 0x8804, Down: true, Name: "recording", body: fields(
			f{Name: "command", Type: u8, Doc: "0 stop, 1 start"}, f{Name: "time", Type: u16, Doc: "s, 0 = endless"}, f{Name: "save", Type: u8}, f{Name: "rate", Type: u8})},
		{ID: 0x8805, Down: true, Name: "upload one stored medium", Since: Edition2013, body: fields(f{Name: "id", Type: u32}, f{Name: "flag", Type: u8})},
		{ID: 0x8900, Down: true, Name: "transparent downlink", body: fields(f{Name: "type", Type: u8}, f{Name: "data", Type: layout.Rest()})},
		{ID: 0x8A00, Down: true, Name: "platform RSA key", Answer: 0x0A00, body: rsaKey},
	}
}
