package privtcp_test

import (
	"fmt"

	"sluice/pkg/wire/privtcp"
)

// Frames between 0x7e with 0x7d escapes, an xor in front of the end mark, a device
// that gives its number as six bytes of BCD, and an answer with the serial number
// of what is answered.
func Example() {
	f := privtcp.Framing{
		Kind:  privtcp.Marks,
		Start: []byte{0x7e}, End: []byte{0x7e},
		Escapes: []privtcp.Escape{
			{From: []byte{0x7e}, To: []byte{0x7d, 0x02}},
			{From: []byte{0x7d}, To: []byte{0x7d, 0x01}},
		},
		Checksum: privtcp.Checksum{Kind: privtcp.XOR},
	}
	login, err := privtcp.NewExtract(privtcp.ExtractSpec{
		ClientID: privtcp.Field{Offset: 4, Length: 6, Text: privtcp.BCD},
	})
	if err != nil {
		panic(err)
	}
	answer, err := privtcp.ParseTemplate(`\x80\x01\x00\x05${frame[4:12]}${frame[10:12]}${frame[0:2]}\x00`)
	if err != nil {
		panic(err)
	}

	s := privtcp.NewSplitter(f)
	s.Feed([]byte("\x7e\x00\x02\x00\x00\x01\x39\x12\x34\x56\x78\x00\x7d\x02\x4c\x7e"))
	for {
		frame, err := s.Next()
		if err != nil {
			fmt.Println(err) // ErrIncomplete: read more; a Fault: drop, or close
			return
		}
		who, err := login.From(frame)
		if err != nil {
			panic(err)
		}
		reply, err := answer.Append(nil, frame, privtcp.Vars{ClientID: who.ClientID})
		if err != nil {
			panic(err)
		}
		wire, err := f.Append(nil, reply)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s\n% x\n", who.ClientID, wire)
	}
	// Output:
	// 013912345678
	// 7e 80 01 00 05 01 39 12 34 56 78 00 7d 02 00 7d 02 00 02 00 b6 7e
	// incomplete frame
}
