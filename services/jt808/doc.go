// Package jt808 is the edge for terminals that speak JT/T 808 of 2011, 2013 or
// 2019, over tcp and tls.
//
// A terminal registers (0x0100), authenticates (0x0102), and from then on reports.
// Each frame is stored as it came and only then answered (0x8001); the translator
// makes JSON of it. Packets of long messages are stored and answered one by one,
// and those that do not come are asked for (0x8003). Commands come from the
// client's queue as JSON, are written in the terminal's own edition, and leave
// the queue when the terminal has answered.
//
// "§" stands for a section of the standard, as ../shared/specs/jt808.md cites it.
// support.md has what is supported, with the test of each.
package jt808
