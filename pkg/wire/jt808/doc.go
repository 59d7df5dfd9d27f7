// Package jt808 is JT/T 808, the protocol of terminals in Chinese road transport,
// in its editions of 2011, 2013 and 2019: frames and message bodies, bytes to
// structs and JSON and back. It does no input or output and keeps no time.
//
//	stream --Splitter--> content --Parse--> Frame{Header, Body} --Decode--> JSON
//	JSON --Encode--> body --Packets--> frames --Append--> bytes on the wire
//
// A frame is 7E header body check 7E, with what lies between the flags escaped
// (§4.4 of the standard). Content is such a frame without flags and unescaped;
// its last byte is the check.
package jt808
