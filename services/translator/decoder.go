package translator

import (
	"time"

	"sluice/pkg/api"
)

// Raw is one frame of GW_RAW.
type Raw struct {
	api.ClientKey
	Kind  string
	Seq   uint64    // in GW_RAW
	At    time.Time // when it was stored
	Form  string    // what the edge knows of how it is to be read
	Frame []byte    // as it was on the wire
	msg   headers
}

// Output is what becomes of one or more frames.
type Output struct {
	Body []byte // JSON, or the frame itself when Err says why it could not be decoded
	Err  error
	// Object is kept in the object store under a name of its own, which Body gets
	// as Field: data that is not for JSON.
	Object []byte
	Field  string
}

// decoder reads the frames of one client, in their order. Nothing is published
// for frames that wait for others.
type decoder interface {
	decode(r Raw) []Output
	// oldest is the lowest raw sequence that waits for others; ok is false when
	// none does.
	oldest() (seq uint64, ok bool)
	// expire gives up what waits for too long, as seen at this time.
	expire(now time.Time) []Output
	// idle tells that there is nothing to remember.
	idle() bool
}

// newDecoder is that of a protocol; nil = there is none.
func newDecoder(proto string) decoder {
	switch proto {
	case "jt808":
		return newJT808()
	}
	return nil
}
