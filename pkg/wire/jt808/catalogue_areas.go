package jt808

import "sluice/pkg/wire/layout"

// rules are the times and speeds of an area or a route, as its flag says (§7).
func times() []layout.Field {
	return []layout.Field{
		{Name: "start_time", Type: time6, If: layout.Bit("flag", 0)},
		{Name: "end_time", Type: time6, If: layout.Bit("flag", 0)},
	}
}

func speeds(flag string) []layout.Field {
	return []layout.Field{
		{Name: "max_speed", Type: u16, If: layout.Bit(flag, 1), Doc: "km/h"},
		{Name: "overspeed_duration", Type: u8, If: layout.Bit(flag, 1), Doc: "s"},
	}
}

func night(flag string) layout.Field {
	return f{Name: "night_max_speed", Type: u16, If: layout.And(layout.Bit(flag, 1), since2019), Doc: "km/h"}
}

var areaName = f{Name: "name", Type: layout.TextIn(2), If: since2019, Default: ""}

// area is a circle or a rectangle.
func area(shape ...string) layout.Type {
	all := []layout.Field{{Name: "id", Type: u32}, {Name: "flag", Type: u16}}
	for _, name := range shape {
		all = append(all, f{Name: name, Type: u32})
	}
	all = append(append(append(all, times()...), speeds("flag")...), night("flag"), areaName)
	return fields(all...)
}

func setAreas(item layout.Type) layout.Type {
	return fields(append([]layout.Field{{Name: "type", Type: u8, Doc: "0 replace, 1 append, 2 modify"}}, counted("areas", item)...)...)
}

// polygon has the speed of the night after its points.
func polygon() layout.Type {
	all := append([]layout.Field{{Name: "id", Type: u32}, {Name: "flag", Type: u16}}, times()...)
	all = append(append(all, speeds("flag")...),
		f{Name: "length", Type: u16, Size: "points"},
		f{Name: "packets", Type: u8, If: only2011, Default: 0},
		f{Name: "points", Type: layout.ListOf("length", fields(f{Name: "lat", Type: u32}, f{Name: "lng", Type: u32}))},
		night("flag"), areaName)
	return fields(all...)
}

func route() layout.Type {
	turn := append([]layout.Field{
		{Name: "point_id", Type: u32, If: since2013}, {Name: "path_id", Type: u32},
		{Name: "point_lat", Type: u32}, {Name: "point_lng", Type: u32}, {Name: "width", Type: u8, Doc: "m"}, {Name: "attrib", Type: u8},
		{Name: "passed", Type: u16, If: layout.Bit("attrib", 0), Doc: "too long, s"},
		{Name: "uncovered", Type: u16, If: layout.And(layout.Bit("attrib", 0), since2013), Doc: "too short, s"},
	}, append(speeds("attrib"), night("attrib"))...)
	all := append([]layout.Field{{Name: "id", Type: u32}, {Name: "flag", Type: u16}}, times()...)
	return fields(append(all,
		f{Name: "length", Type: u16, Size: "points"},
		f{Name: "packets", Type: u8, If: only2011, Default: 0},
		f{Name: "points", Type: layout.ListOf("length", fields(turn...))},
		areaName)...)
}

func areas() []Message {
	ids := fields(f{Name: "length", Type: u8, Size: "ids", Doc: "0 = all"}, f{Name: "ids", Type: layout.ListOf("length", u32)})
	return []Message{
		{ID: 0x8600, Down: true, Name: "set circles", body: setAreas(area("center_latitude", "center_longitude", "radius"))},
		{ID: 0x8601, Down: true, Name: "delete circles", body: ids},
		{ID: 0x8602, Down: true, Name: "set rectangles", body: setAreas(area("lt_lat", "lt_lng", "rb_lat", "rb_lng"))},
		{ID: 0x8603, Down: true, Name: "delete rectangles", body: ids},
		{ID: 0x8604, Down: true, Name: "set polygon", body: polygon()},
		{ID: 0x8605, Down: true, Name: "delete polygons", body: ids},
		{ID: 0x8606, Down: true, Name: "set route", body: route()},
		{ID: 0x8607, Down: true, Name: "delete routes", body: ids},
		{ID: 0x8608, Down: true, Name: "query areas or routes", Since: Edition2019, Answer: 0x0608, body: fields(
			f{Name: "type", Type: u8, Doc: "1 circle, 2 rectangle, 3 polygon, 4 route"}, f{Name: "count", Type: u32, Size: "ids"}, f{Name: "ids", Type: layout.ListOf("count", u32)})},
	}
}
