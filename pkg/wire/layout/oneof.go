package layout

// OneOf is a body that has several forms, which nothing but their length tells
// apart: the first is taken that uses all that is left. With prefer the form of
// an edition is tried first, and it is the one that is written.
func OneOf(prefer func(edition uint8) int, forms ...Type) Type {
	return Func{
		Decode: func(r *Reader, dst []byte) ([]byte, error) {
			first := prefer(r.o.Edition)
			out, left, err := try(r, dst, forms[first])
			for i := 0; i < len(forms) && err != nil; i++ {
				if i == first {
					continue
				}
				if other, rest, e := try(r, dst, forms[i]); e == nil {
					out, left, err = other, rest, nil
				}
			}
			r.b = left
			return out, err
		},
		Encode: func(w *Writer, v any) error { return forms[prefer(w.o.Edition)].encode(w, v) },
		Schema: anyOf(forms),
	}
}

func try(r *Reader, dst []byte, t Type) (out, left []byte, err error) {
	trial := Reader{b: r.b, o: r.o}
	out, err = t.decode(&trial, dst)
	if err == nil && len(trial.b) > 0 {
		err = ErrLeft
	}
	return out, trial.b, err
}

func anyOf(forms []Type) Schema {
	all := make([]any, len(forms))
	for i, f := range forms {
		all[i] = map[string]any(f.schema())
	}
	return Schema{"anyOf": all}
}
