// Package config reads configuration files in the syntax of nats-server and
// decodes them strictly into structs.
//
// A file is a tree of [Node]. Dotted keys are paths: "frame.max_headers: 10" and
// "frame { max_headers: 10 }" are the same. Struct fields say their key and what
// they mean:
//
//	IdleTimeout time.Duration `conf:"idle_timeout" doc:"a connection must be a client within this time"`
//
// Further names after a comma are aliases; "-" leaves a field out; an embedded
// struct without tag is inlined. What the file does not name keeps its value, so
// defaults are what was in the struct before. An unknown key, a value of the
// wrong type or out of range is an error that names file, line and full path,
// and all errors of a file are told at once.
package config
