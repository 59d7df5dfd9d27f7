package jt808

import "sluice/pkg/wire/layout"

// short names for the tables
type f = layout.Field

var (
	u8, u16, u32 = layout.U8, layout.U16, layout.U32
	time6        = layout.BCD(6)
	empty        = layout.Fields()
	since2019    = layout.Since(uint8(Edition2019), "2019")
	only2011     = layout.Only(uint8(Edition2011), "2011")
	since2013    = layout.Since(uint8(Edition2013), "2013")
)

func fields(all ...layout.Field) *layout.Object { return layout.Fields(all...) }

// forms is which of two, of 2013 and 2019, an edition has.
func forms(ed uint8) int {
	if Edition(ed) >= Edition2019 {
		return 1
	}
	return 0
}

// general is 0x0001 and 0x8001.
var general = fields(
	f{Name: "seq", Type: u16, Doc: "serial number of what is answered"},
	f{Name: "id", Type: u16, Doc: "message id of what is answered"},
	f{Name: "result", Type: u8, Doc: "0 done, 1 failure, 2 bad message, 3 not supported, 4 alarm confirmed"},
)

func register(maker, model, terminal int) layout.Type {
	return fields(
		f{Name: "province", Type: u16, Doc: "GB/T 2260, first two digits"},
		f{Name: "city", Type: u16, Doc: "GB/T 2260, last four digits"},
		f{Name: "manufacturer", Type: layout.Text(maker)},
		f{Name: "model", Type: layout.Text(model)},
		f{Name: "dev_id", Type: layout.Text(terminal)},
		f{Name: "color", Type: u8, Doc: "of the plate; 0 = no plate, then the number is a VIN"},
		f{Name: "license_number", Type: layout.TextRest()},
	)
}

var registers = []layout.Type{register(5, 8, 7), register(5, 20, 7), register(11, 30, 30)}

// registerForm tells the three by their length: the number begins at 25, 37, 76.
func registerForm(ed Edition, n int) int {
	switch {
	case ed == Edition2019 && n >= 76:
		return 2
	case n >= 37:
		return 1
	}
	return 0
}

var registration = layout.Func{
	Decode: func(r *layout.Reader, dst []byte) ([]byte, error) {
		return r.Decode(dst, registers[registerForm(Edition(r.Edition()), r.Left())])
	},
	Encode: func(w *layout.Writer, v any) error {
		return w.Encode(registers[max(Edition(w.Edition()), Edition2011)-Edition2011], v)
	},
	Schema: layout.SchemaOf(registers[1]),
}

func attributes(maker, model, terminal int) layout.Type {
	return fields(
		f{Name: "type", Type: u16},
		f{Name: "manufacturer", Type: layout.Text(maker)},
		f{Name: "model", Type: layout.Text(model)},
		f{Name: "id", Type: layout.Text(terminal)},
		f{Name: "iccid", Type: layout.BCD(10)},
		f{Name: "hardware_version", Type: layout.TextIn(1)},
		f{Name: "firmware_version", Type: layout.TextIn(1)},
		f{Name: "gnss_prop", Type: u8},
		f{Name: "comm_prop", Type: u8},
	)
}

var params = fields(
	f{Name: "length", Type: u8, Size: "params", Doc: "number"},
	f{Name: "packets", Type: u8, If: only2011, Default: 0, Doc: "items in this packet"},
	f{Name: "params", Type: layout.ListOf("length", param)},
)

var driver = []layout.Field{
	{Name: "driver_name", Type: layout.TextIn(1)},
	{Name: "certificate", Type: layout.Text(20)},
	{Name: "organization", Type: layout.TextIn(1)},
	{Name: "cert_expiry", Type: layout.BCD(4), Doc: "YYYYMMDD"},
}

// identity is 0x0702 since 2013.
func identity() layout.Type {
	read := layout.And(layout.Is("status", 1), layout.Is("ic_result", 0))
	all := []layout.Field{
		{Name: "status", Type: u8, Doc: "1 card in, 2 card out"},
		{Name: "time", Type: time6},
		{Name: "ic_result", Type: u8, If: layout.Is("status", 1)},
	}
	for _, d := range driver {
		d.If = read
		all = append(all, d)
	}
	return fields(append(all, f{Name: "id_card", Type: layout.Text(20), If: read, Tail: true, Doc: "2019"})...)
}

// identity2011 has no card.
func identity2011() layout.Type {
	return fields(
		f{Name: "driver_name", Type: layout.TextIn(1)},
		f{Name: "id_card", Type: layout.Text(20)},
		f{Name: "certificate", Type: layout.Text(40)},
		f{Name: "organization", Type: layout.TextIn(1)},
	)
}

func is2011(ed uint8) int {
	if Edition(ed) == Edition2011 {
		return 0
	}
	return 1
}

var media = []layout.Field{
	{Name: "id", Type: u32},
	{Name: "type", Type: u8, Doc: "0 picture, 1 audio, 2 video"},
	{Name: "format", Type: u8, Doc: "0 JPEG, 1 TIF, 2 MP3, 3 WAV, 4 WMV"},
	{Name: "event", Type: u8},
	{Name: "channel", Type: u8},
}

var found = fields(
	f{Name: "id", Type: u32, If: since2013},
	f{Name: "type", Type: u8},
	f{Name: "channel", Type: u8},
	f{Name: "event", Type: u8},
	f{Name: "location", Type: basic},
)

func uplinks() []Message {
	seq := f{Name: "seq", Type: u16, Doc: "serial number of what is answered"}
	data := f{Name: "data", Type: layout.Rest()}
	return []Message{
		{ID: 0x0001, Name: "terminal general response", body: general},
		{ID: 0x0002, Name: "heartbeat", body: empty},
		{ID: 0x0003, Name: "unregister", body: empty},
		{ID: 0x0004, Name: "query server time", Since: Edition2019, body: empty},
		{ID: 0x0005, Name: "ask for missing packets", Since: Edition2019, body: missing},
		{ID: 0x0100, Name: "register", body: registration},
		{ID: 0x0102, Name: "authenticate", body: authentication},
		{ID: 0x0104, Name: "parameters", body: fields(seq,
			f{Name: "length", Type: u8, Size: "params"},
			f{Name: "packets", Type: u8, If: only2011, Default: 0},
			f{Name: "params", Type: layout.ListOf("length", param)},
			f{Name: "left", Type: layout.Hex(), Tail: true, Doc: "what some terminals put after the parameters"})},
		{ID: 0x0107, Name: "attributes", Since: Edition2013, body: layout.OneOf(forms, attributes(5, 20, 7), attributes(5, 30, 30), attributes(11, 30, 30))},
		{ID: 0x0108, Name: "upgrade result", Since: Edition2013, body: fields(f{Name: "type", Type: u8}, f{Name: "result", Type: u8})},
		{ID: 0x0200, Name: "location", body: location},
		{ID: 0x0201, Name: "location on demand", body: layout.OneOf(is2011, fields(f{Name: "params", Type: location}), fields(seq, f{Name: "params", Type: location}))},
		{ID: 0x0301, Name: "event", body: fields(f{Name: "id", Type: u8})},
		{ID: 0x0302, Name: "answer to a question", body: fields(seq, f{Name: "id", Type: u8})},
		{ID: 0x0303, Name: "information on demand", body: fields(f{Name: "id", Type: u8}, f{Name: "flag", Type: u8, Doc: "0 cancel, 1 order"})},
		{ID: 0x0500, Name: "vehicle control", body: fields(seq, f{Name: "location", Type: location})},
		{ID: 0x0608, Name: "areas or routes", Since: Edition2019, body: fields(f{Name: "type", Type: u8}, f{Name: "count", Type: u32}, data)},
		{ID: 0x0700, Name: "driving record", body: fields(seq, f{Name: "command", Type: u8}, data)},
		{ID: 0x0701, Name: "electronic waybill", body: fields(f{Name: "length", Type: u32, Size: "data"}, f{Name: "data", Type: layout.BytesOf("length")})},
		{ID: 0x0702, Name: "driver identity", body: layout.OneOf(is2011, identity2011(), identity())},
		{ID: 0x0704, Name: "batch of locations", Since: Edition2013, body: fields(
			f{Name: "length", Type: u16, Size: "location"},
			f{Name: "type", Type: u8, Doc: "0 normal, 1 stored while the link was down"},
			f{Name: "location", Type: layout.ListSized("length", 2, location)})},
		{ID: 0x0705, Name: "CAN data", Since: Edition2013, body: fields(
			f{Name: "length", Type: u16, Size: "can_data"},
			f{Name: "time", Type: layout.BCD(5), Doc: "hhmmss and milliseconds"},
			f{Name: "can_data", Type: layout.ListOf("length", can)})},
		{ID: 0x0800, Name: "multimedia event", body: fields(media...)},
		{ID: 0x0801, Name: "multimedia data", body: fields(append(media[:5:5],
			f{Name: "location", Type: basic}, f{Name: "multimedia", Type: layout.Rest()})...)},
		{ID: 0x0802, Name: "stored media", body: fields(seq,
			f{Name: "length", Type: u16, Size: "result"},
			f{Name: "packets", Type: u16, If: only2011, Default: 0},
			f{Name: "result", Type: layout.ListOf("length", found)})},
		{ID: 0x0805, Name: "camera shot", Since: Edition2013, body: fields(seq, f{Name: "result", Type: u8},
			f{Name: "length", Type: u16, Size: "ids", If: layout.Is("result", 0)},
			f{Name: "ids", Type: layout.ListOf("length", u32), If: layout.Is("result", 0)})},
		{ID: 0x0900, Name: "transparent uplink", body: fields(f{Name: "type", Type: u8}, data)},
		{ID: 0x0901, Name: "compressed report", body: fields(f{Name: "length", Type: u32}, data)},
		{ID: 0x0A00, Name: "terminal RSA key", body: rsaKey},
	}
}

var rsaKey = fields(f{Name: "e", Type: u32}, f{Name: "n", Type: layout.Bytes(128)})

// missing is 0x8003 and 0x0005: the count is a byte in 2013, two in 2019.
var missing = layout.OneOf(forms,
	fields(f{Name: "seq", Type: u16}, f{Name: "length", Type: u8, Size: "ids"}, f{Name: "ids", Type: layout.ListOf("length", u16)}),
	fields(f{Name: "seq", Type: u16}, f{Name: "length", Type: u16, Size: "ids"}, f{Name: "ids", Type: layout.ListOf("length", u16)}),
)

// authentication is the code alone before 2019. A body that stops after the code
// is understood.
var authentication = layout.Func{
	Decode: func(r *layout.Reader, dst []byte) ([]byte, error) {
		if b := r.Peek(); Edition(r.Edition()) == Edition2019 || len(b) > 0 && len(b) == 1+int(b[0])+35 {
			return r.Decode(dst, authentication2019)
		}
		return r.Decode(dst, authentication2013)
	},
	Encode: func(w *layout.Writer, v any) error {
		if Edition(w.Edition()) == Edition2019 {
			return w.Encode(authentication2019, v)
		}
		return w.Encode(authentication2013, v)
	},
	Schema: layout.SchemaOf(authentication2019),
}

var (
	authentication2013 = fields(f{Name: "code", Type: layout.TextRest()})
	authentication2019 = fields(
		f{Name: "code", Type: layout.TextIn(1)},
		f{Name: "imei", Type: layout.Text(15), Tail: true},
		f{Name: "software_version", Type: layout.Text(20), Tail: true},
	)
)
