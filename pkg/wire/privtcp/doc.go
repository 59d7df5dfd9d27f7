// Package privtcp frames private TCP protocols as their owner describes them:
// no code for each protocol, but a [Framing] of plain values. It does no I/O.
//
// # The model
//
// A frame is what the wire carries, a payload is what the platform sees. Between
// them stand, in this order upwards: the boundary ([Kind]), the escapes, the
// checksum, and what is taken off. A [Splitter] goes up, [Framing.Append] comes
// down, and what Append writes the Splitter reads as the same payload: Append
// refuses a payload of which that would not be true.
//
//	kind       a frame is                        taken off the payload
//	raw        what one read brought             nothing
//	fixed      Length bytes                      the checksum
//	delimiter  all up to Delimiter               the delimiter, the checksum
//	length     as long as its length field says  Strip bytes, the checksum
//	marks      Start, escaped bytes, End         marks, escapes, the checksum
//
// The delimiter and the checksum stay where KeepDelimiter and Checksum.Keep are
// set. What Strip leaves of a header, and a checksum that is kept, are part of the
// payload in both directions: downwards their bytes are room, which Append fills.
//
// # Faults
//
// A frame that is refused is a [*Fault]. Delimiters and marks show where the next
// frame begins, and so does a Start in front of fixed frames and of those with a
// length field: the frame is dropped and counted, and Next goes on. Without such a
// sign the stream is lost (Fault.Lost) and the connection is to be closed.
//
// # Beyond framing
//
// [Extract] finds who the device is in its first frame, [Match] tells heartbeats
// and logins from data, and [Template] writes answers. All three see payloads, and
// what a Template writes is a payload too. Their regular expressions see every byte
// as one character, \x80 to \xff included.
//
// # Example
//
// Frames between 0x7e with 0x7d escapes, an xor in front of the end mark, and a
// device that gives its number as six bytes of BCD:
//
//	f := privtcp.Framing{
//		Kind:  privtcp.Marks,
//		Start: []byte{0x7e}, End: []byte{0x7e},
//		Escapes: []privtcp.Escape{
//			{From: []byte{0x7e}, To: []byte{0x7d, 0x02}},
//			{From: []byte{0x7d}, To: []byte{0x7d, 0x01}},
//		},
//		Checksum: privtcp.Checksum{Kind: privtcp.XOR},
//	}
//	login, err := privtcp.NewExtract(privtcp.ExtractSpec{
//		ClientID: privtcp.Field{Offset: 4, Length: 6, Text: privtcp.BCD},
//	})
//
//	s := privtcp.NewSplitter(f)
//	s.Feed([]byte("\x7e\x00\x02\x00\x00\x01\x39\x12\x34\x56\x78\x00\x7d\x02\x4c\x7e"))
//	frame, err := s.Next()        // 00 02 00 00 01 39 12 34 56 78 00 7e
//	who, err := login.From(frame) // 013912345678
//	_, err = s.Next()             // ErrIncomplete: Feed the next chunk
//
// The example of the package goes on to answer.
package privtcp
