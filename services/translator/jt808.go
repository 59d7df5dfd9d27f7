package translator

import (
	"fmt"
	"time"

	"sluice/pkg/wire/jt808"
)

// Bounds of what waits for the rest of a long message, of one terminal.
const (
	maxOpen  = 4
	maxBytes = 16 << 20
	keepFor  = 5 * time.Minute
)

// jt808Decoder puts long messages of a terminal together and decodes.
type jt808Decoder struct {
	parts  jt808.Assembler
	frames map[uint64][]byte // that wait, by raw sequence
}

func newJT808() *jt808Decoder {
	return &jt808Decoder{parts: jt808.Assembler{Bytes: maxBytes, Open: maxOpen, Keep: keepFor}, frames: map[uint64][]byte{}}
}

func (d *jt808Decoder) decode(r Raw) []Output {
	s := jt808.NewSplitter(len(r.Frame))
	s.Feed(r.Frame)
	content, err, ok := s.Next()
	if !ok && err == nil {
		err = jt808.ErrShort
	}
	var f jt808.Frame
	if err == nil {
		f, err = jt808.Parse(content)
	}
	switch {
	case err != nil:
		return []Output{{Body: r.Frame, Err: err}}
	case !f.Sub():
		return []Output{translate808(f, r)}
	}
	d.frames[r.Seq] = append([]byte(nil), r.Frame...)
	whole, done, given := d.parts.Add(f, r.Seq, r.At)
	out := d.give(given, "there is no room for more incomplete messages of the terminal")
	if done {
		out = append(out, translate808(whole, r))
	}
	d.forget()
	return out
}

// translate808 is a whole message as JSON. The data of multimedia is kept apart.
func translate808(f jt808.Frame, r Raw) Output {
	ed := edition(r.Form, f.Header)
	var data []byte
	if f.ID == 0x0801 && f.Encrypt == 0 {
		if head, rest, ok := jt808.MediaData(f.Body); ok && len(rest) > 0 {
			f.Body, data = head, rest
		}
	}
	body, err := jt808.AppendJSON(nil, f, ed, jt808.Options{GBK: !hasForm(r.Form, "utf8")})
	if err != nil {
		return Output{Body: r.Frame, Err: err}
	}
	return Output{Body: body, Object: data, Field: `"multimedia":""`}
}

// edition is what the edge says, or what the frame looks like.
func edition(form string, h jt808.Header) jt808.Edition {
	for ed := jt808.Edition2011; ed <= jt808.Edition2019; ed++ {
		if hasForm(form, ed.String()) {
			return ed
		}
	}
	return jt808.GuessEdition(h, nil)
}

// give is what there is of messages that are given up: their packets as they came.
func (d *jt808Decoder) give(all []jt808.Partial, why string) (out []Output) {
	for _, p := range all {
		for _, seq := range p.Tags {
			out = append(out, Output{Body: d.frames[seq], Err: fmt.Errorf("%d of %d packets of message 0x%04X came: %s", len(p.Tags), p.Total, p.ID, why)})
		}
	}
	return out
}

// forget drops frames that nothing waits for any more.
func (d *jt808Decoder) forget() {
	oldest, waits := d.parts.Oldest()
	for seq := range d.frames {
		if !waits || seq < oldest {
			delete(d.frames, seq)
		}
	}
}

func (d *jt808Decoder) oldest() (uint64, bool) { return d.parts.Oldest() }

func (d *jt808Decoder) expire(now time.Time) []Output {
	out := d.give(d.parts.Expired(now), "the others did not come in time")
	d.forget()
	return out
}

// idle: a terminal without an incomplete message needs no memory, but for the
// packets that it may repeat; those make messages that stay incomplete.
func (d *jt808Decoder) idle() bool { return len(d.frames) == 0 }
