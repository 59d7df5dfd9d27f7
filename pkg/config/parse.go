package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/conf"
)

const maxDepth = 32 // nested blocks and lists

// ParseFile reads a configuration file with what it includes.
func ParseFile(path string) (*Node, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parse(path, text, func() (map[string]any, error) { return conf.ParseFileWithChecks(path) })
}

// Parse reads a configuration from memory; name stands for the file in errors.
// What it includes is looked for in the working directory.
func Parse(name string, text []byte) (*Node, error) {
	return parse(name, text, func() (map[string]any, error) { return conf.ParseWithChecks(string(text)) })
}

// parse has the parser's tree checked against the text.
func parse(name string, text []byte, tree func() (map[string]any, error)) (*Node, error) {
	if i := bytes.IndexByte(text, 0); i >= 0 { // the parser takes it for the end
		return nil, fmt.Errorf("%s:%d: not a text: has a NUL byte", name, 1+bytes.Count(text[:i], []byte{'\n'}))
	}
	scanned, err := scanFiles(name, string(text), []string{filepath.Clean(name)})
	if err != nil {
		return nil, err
	}
	return build(name, func() (map[string]any, error) {
		m, err := tree()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		scanned[0].verify(scanned[0].root, "", m)
		var errs []error
		for _, s := range scanned {
			errs = append(errs, s.err)
		}
		return m, errors.Join(errs...)
	})
}

// token is what the parser wraps values in when it is asked for lines.
type token interface {
	Value() any
	Line() int
	SourceFile() string
	Position() int
	IsUsedVariable() bool
}

func build(name string, parse func() (map[string]any, error)) (root *Node, err error) {
	defer func() {
		// The parser panics on some unbalanced brackets.
		if r := recover(); r != nil {
			root, err = nil, fmt.Errorf("%s: not a configuration: %v", name, r)
		}
	}()
	m, err := parse()
	if err != nil {
		return nil, err
	}
	root = &Node{file: name}
	if err := root.fill(m, 0); err != nil {
		return nil, err
	}
	root.order()
	return root, nil
}

// fill makes n the block m.
func (n *Node) fill(m map[string]any, depth int) error {
	n.block = true
	// Sorted, so that two files with the same content are the same tree where the
	// parser gives no lines.
	for _, key := range slices.Sorted(maps.Keys(m)) {
		v := &Node{path: join(n.path, key), file: n.file, line: n.line}
		if err := v.set(m[key], depth); err != nil {
			return err
		}
		if err := n.add(key, v); err != nil {
			return err
		}
	}
	return nil
}

// set gives n the value that the parser found.
func (n *Node) set(v any, depth int) error {
	if t, ok := v.(token); ok {
		n.line, n.pos, n.used, v = t.Line(), t.Position(), t.IsUsedVariable(), t.Value()
		if f := t.SourceFile(); f != "" {
			n.file = f
		}
	}
	if depth > maxDepth {
		return n.Errorf("nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case map[string]any:
		return n.fill(v, depth+1)
	case []any:
		n.items = make([]*Node, len(v))
		for i, e := range v {
			n.items[i] = &Node{name: fmt.Sprint(i), path: fmt.Sprintf("%s[%d]", n.path, i), file: n.file, line: n.line}
			if err := n.items[i].set(e, depth+1); err != nil {
				return err
			}
		}
	default:
		n.value = v
	}
	return nil
}

// add puts v under the dotted key, merged with what is there.
func (n *Node) add(key string, v *Node) error {
	parts := strings.Split(key, ".")
	if slices.Contains(parts, "") {
		return v.Errorf("a part of the key is empty")
	}
	if len(parts) > maxDepth {
		return v.Errorf("nested deeper than %d", maxDepth)
	}
	at := n
	for _, p := range parts[:len(parts)-1] {
		if at = at.child(p, v); !at.block {
			return v.Errorf("%s is a value already", at.path)
		}
	}
	v.name = parts[len(parts)-1]
	old := at.Get(v.name)
	if old == nil {
		at.children = append(at.children, v)
		return nil
	}
	if !old.block || !v.block {
		return v.Errorf("is given twice")
	}
	for _, c := range v.children {
		if err := old.add(c.name, c); err != nil {
			return err
		}
	}
	return nil
}
