package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The parser of nats-server lets the last of two equal keys win, drops values
// such as 5kbb, takes brackets that close nothing, and follows a file that
// includes itself until the stack is full. A scanner that knows no more than
// keys, brackets and quotes finds these.

// written is what the scanner saw as the value of a key.
type written struct {
	line  int
	keys  map[string]*written // of a block
	items []*written          // of a list
}

// scanner goes through one file. Where the text makes no sense to it, it says
// nothing: the parser has the better message.
type scanner struct {
	file, text string
	pos        int
	maps       int // how many blocks that are values are open
	root       *written
	includes   []string
	err        error // the first
}

func scan(file, text string) *scanner {
	s := &scanner{file: file, text: text, root: &written{keys: map[string]*written{}}}
	for s.block(s.root, "", 0) {
		s.fail(s.pos-1, "} closes nothing")
	}
	return s
}

func (s *scanner) fail(at int, format string, args ...any) { s.failLine(s.line(at), format, args...) }

func (s *scanner) failLine(line int, format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("%s:%d: %s", s.file, line, fmt.Sprintf(format, args...))
	}
}

func (s *scanner) line(at int) int { return 1 + strings.Count(s.text[:at], "\n") }

// block reads keys into w until a closing bracket, or the end of the text.
func (s *scanner) block(w *written, path string, depth int) (closed bool) {
	for s.skip(""); s.pos < len(s.text); s.skip("") {
		switch s.text[s.pos] {
		case '}':
			s.pos++
			return true
		case '{': // at the top, as JSON has it
			s.pos++
			s.block(w, path, depth+1)
			continue
		}
		s.entry(w, path, depth)
		s.pos += blanks(s.text[s.pos:])
		if s.pos < len(s.text) && (s.text[s.pos] == ',' || s.text[s.pos] == ';') { // one: another begins a key
			s.pos++
		}
	}
	if depth > 0 {
		s.fail(len(s.text), "a { is never closed")
	}
	return false
}

func (s *scanner) entry(w *written, path string, depth int) {
	at := s.pos
	key, quoted := s.key()
	if !quoted && strings.EqualFold(key, "include") && s.pos < len(s.text) && !strings.ContainsRune(":=", rune(s.text[s.pos])) {
		s.pos += blanks(s.text[s.pos:])
		from := s.pos
		s.scalar()
		s.includes = append(s.includes, strings.Trim(s.text[from:s.pos], `"'`))
		return
	}
	full := join(path, key)
	if first := w.keys[key]; first != nil {
		s.fail(at, "%s: is given twice, first in line %d", full, first.line)
	}
	s.spaces()
	if s.pos < len(s.text) && (s.text[s.pos] == ':' || s.text[s.pos] == '=') {
		s.pos++
		s.pos += blanks(s.text[s.pos:])
		if s.maps > 0 { // only there may the value be in another line
			s.spaces()
		}
	}
	if s.pos >= len(s.text) || s.text[s.pos] == '}' {
		s.fail(at, "%s: has no value", full)
	}
	v := s.value(full, depth)
	v.line = s.line(at)
	w.keys[key] = v
}

func (s *scanner) value(path string, depth int) *written {
	v := &written{}
	if s.pos >= len(s.text) || depth > 2*maxDepth { // the tree has an error for what is too deep
		s.pos = len(s.text)
		return v
	}
	v.line = s.line(s.pos)
	switch s.text[s.pos] {
	case '{':
		s.pos++
		v.keys = map[string]*written{}
		s.maps++
		s.block(v, path, depth+1)
		s.maps--
	case '[':
		s.pos++
		v.items = []*written{}
		for s.skip(","); s.pos < len(s.text) && s.text[s.pos] != ']'; s.skip(",") {
			from := s.pos
			v.items = append(v.items, s.value(fmt.Sprintf("%s[%d]", path, len(v.items)), depth+1))
			s.pos = max(s.pos, from+1) // to get on where nothing makes sense
		}
		s.pos = min(s.pos+1, len(s.text))
	default:
		s.scalar()
	}
	return v
}

// verify compares what was written with what the parser made of it, both ways:
// where the two do not see the same keys and items, a repeated key could hide,
// so such a text is refused. Nobody writes one but by mistake.
func (s *scanner) verify(w *written, path string, got any) {
	if t, ok := got.(token); ok {
		got = t.Value()
	}
	switch got := got.(type) {
	case map[string]any:
		s.verifyKeys(w, path, got)
	case []any:
		if len(w.items) != len(got) && !s.variables() {
			s.failLine(w.line, "%s: the list is not understood", path)
			return
		}
		for i, v := range w.items {
			if i < len(got) {
				s.verify(v, fmt.Sprintf("%s[%d]", path, i), got[i])
			}
		}
	}
}

func (s *scanner) verifyKeys(w *written, path string, got map[string]any) {
	for key, v := range w.keys {
		at := join(path, key)
		if _, ok := got[key]; !ok {
			s.failLine(v.line, "%s: the value is not understood", at)
			return
		}
		s.verify(v, at, got[key])
	}
	if len(s.includes) > 0 || s.variables() { // these bring keys from elsewhere
		return
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if w.keys[key] == nil {
			s.failLine(w.line, "%s: is not understood", join(path, key))
			return
		}
	}
}

// variables tells whether values may stand elsewhere than where they are used.
func (s *scanner) variables() bool { return strings.Contains(s.text, "$") }

// scanFiles scans text and all that it includes; open are the files on the way
// to it. A file that includes itself is an error at once, as the parser must not
// see it; what else is wrong is in the scanners.
func scanFiles(file, text string, open []string) ([]*scanner, error) {
	s := scan(file, text)
	all := []*scanner{s}
	for _, name := range s.includes {
		path := filepath.Join(filepath.Dir(file), name)
		if slices.Contains(open, path) {
			return nil, fmt.Errorf("%s: %s is included again while it is being read", file, path)
		}
		included, err := os.ReadFile(path)
		if err != nil {
			continue // the parser says which
		}
		more, err := scanFiles(path, string(included), append(slices.Clone(open), path))
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}
