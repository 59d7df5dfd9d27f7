package jt808

import (
	"bytes"
	"errors"
	"fmt"

	"sluice/pkg/wire/layout"
)

// Options are what the operator chooses.
type Options struct {
	GBK bool // text is GBK, as the standard says; false: terminals send UTF-8
}

// Message is one of the catalogue (§4).
type Message struct {
	ID    uint16
	Name  string
	Down  bool    // of the platform
	Since Edition // the first that has it
	// Answer is the terminal's own answer to a message of the platform, besides
	// 0x0001; 0 = it has none.
	Answer uint16
	body   layout.Type
}

// BodyError is a body that is refused: what is wrong, and where.
type BodyError struct {
	ID  uint16
	Err error
}

func (e *BodyError) Error() string { return fmt.Sprintf("message 0x%04X: %v", e.ID, e.Err) }

func (e *BodyError) Unwrap() error { return e.Err }

// ErrUnknown: a message that the catalogue has not.
var ErrUnknown = errors.New("is not in the catalogue: give its body as {\"unknown_id\":true,\"data\":\"<base64>\"}")

var unknown = layout.Fields(layout.Field{Name: "data", Type: layout.Rest(), Doc: "the body as it is"})

// Decode appends the JSON object of a body. One of an unknown message is
// {"unknown_id":true,"data":base64}. An error is a *BodyError; dst is as it was
// then.
func Decode(dst []byte, id uint16, ed Edition, body []byte, o Options) ([]byte, error) {
	m := lookup(id)
	if m == nil {
		from := len(dst)
		dst, err := layout.Decode(append(dst, `{"unknown_id":true,`...), unknown, body, layout.Options{})
		if err != nil {
			return dst[:from], &BodyError{id, err}
		}
		at := from + len(`{"unknown_id":true,`)
		return append(dst[:at], dst[at+1:]...), nil // the inner object's brace
	}
	out, err := layout.Decode(dst, m.body, body, o.layout(ed))
	if err != nil {
		return dst, &BodyError{id, err}
	}
	return out, nil
}

// EncodeValue appends the bytes of a body that is given as JSON, decoded with
// UseNumber; nil is an empty object. An error is a *BodyError that says what the
// sender has to mend.
func EncodeValue(dst []byte, id uint16, ed Edition, v any, o Options) ([]byte, error) {
	if v == nil {
		v = map[string]any{}
	}
	m := lookup(id)
	if m == nil {
		given, _ := v.(map[string]any)
		if given["unknown_id"] != true {
			return dst, &BodyError{id, ErrUnknown}
		}
		v = map[string]any{"data": given["data"]}
		m = &Message{body: unknown}
	}
	out, err := layout.EncodeValue(dst, m.body, v, o.layout(ed))
	if err != nil {
		return dst, &BodyError{id, err}
	}
	return out, nil
}

func (o Options) layout(ed Edition) layout.Options {
	l := layout.Options{Edition: uint8(ed)}
	if o.GBK {
		l.Text, l.Untext = fromGBK, toGBK
	}
	return l
}

// Messages is the catalogue in the order of ids.
func Messages() []Message { return catalogue }

// Lookup finds a message of the catalogue.
func Lookup(id uint16) (Message, bool) {
	if m := lookup(id); m != nil {
		return *m, true
	}
	return Message{}, false
}

func lookup(id uint16) *Message {
	lo, hi := 0, len(catalogue)
	for lo < hi {
		mid := (lo + hi) / 2
		if catalogue[mid].ID < id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(catalogue) && catalogue[lo].ID == id {
		return &catalogue[lo]
	}
	return nil
}

// GuessEdition tells the edition from a registration, 0x0100, of a terminal: the
// header of 2019 has a mark, and that of 2013 has a longer model (§2.2). For any
// other body without the mark it is 2013, as most terminals are.
func GuessEdition(h Header, body []byte) Edition {
	switch {
	case h.Versioned:
		return Edition2019
	case h.ID == 0x0100 && registerForm(Edition2013, len(body)) == 0:
		return Edition2011
	}
	return Edition2013
}

// AppendJSON appends a whole message as applications get it:
// {"header":{...},"body":{...}}.
func AppendJSON(dst []byte, f Frame, ed Edition, o Options) ([]byte, error) {
	from := len(dst)
	dst = append(dst, `{"header":{"msg_id":`...)
	dst = fmt.Appendf(dst, `%d,"encrypt":%d,"len":%d,`, f.ID, f.Encrypt, f.Length)
	if f.Versioned {
		dst = fmt.Appendf(dst, `"proto_ver":%d,`, f.Version)
	}
	dst = fmt.Appendf(dst, `"phone":"%s","msg_sn":%d`, f.Phone, f.Serial)
	if f.Sub() {
		dst = fmt.Appendf(dst, `,"frag_total":%d,"frag_sn":%d`, f.Total, f.Index)
	}
	dst = append(dst, `},"body":`...)
	var err error
	if f.Sub() {
		dst = append(dst, `{"packet":true,"data":`...)
		dst = append(appendBase64(dst, f.Body), '}')
	} else if f.Encrypt != 0 { // the key is the terminal's and the platform's own
		dst = append(dst, `{"encrypted":true,"data":`...)
		dst = append(appendBase64(dst, f.Body), '}')
	} else if dst, err = Decode(dst, f.ID, ed, f.Body, o); err != nil {
		return dst[:from], err
	}
	return append(dst, '}'), nil
}

func appendBase64(dst, b []byte) []byte {
	out, err := layout.Decode(dst, layout.Rest(), b, layout.Options{})
	if err != nil { // all bytes are taken, whatever they are
		return append(dst, `""`...)
	}
	return out
}

// MediaHead is what comes before the data of a multimedia message, 0x0801: id,
// type, format, event, channel and the location (§8).
const MediaHead = 36

// MediaData cuts the data of a multimedia message off, which is not for JSON.
func MediaData(body []byte) (head, data []byte, ok bool) {
	if len(body) < MediaHead {
		return nil, nil, false
	}
	return bytes.Clone(body[:MediaHead]), body[MediaHead:], true
}
