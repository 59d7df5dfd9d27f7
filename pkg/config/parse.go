package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/conf"
)

const maxDepth = 32 // nested blocks and lists

// ParseFile reads a configuration file with what it includes.
func ParseFile(path string) (*Node, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	return build(path, func() (map[string]any, error) { return conf.ParseFileWithChecks(path) })
}

// Parse reads a configuration from memory; name stands for the file in errors.
func Parse(name string, text []byte) (*Node, error) {
	return build(name, func() (map[string]any, error) { return conf.ParseWithChecks(string(text)) })
}

// FromJSON reads a JSON object as a configuration without lines, for settings
// that come over the API.
func FromJSON(name string, text []byte) (*Node, error) {
	return build(name, func() (m map[string]any, err error) {
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.UseNumber()
		if err := d.Decode(&m); err != nil {
			return nil, err
		}
		return m, nil
	})
}

// token is what the parser wraps values in when it is asked for lines.
type token interface {
	Value() any
	Line() int
	SourceFile() string
	Position() int
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
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	root = &Node{file: name}
	if err := root.fill(m, 0); err != nil {
		return nil, err
	}
	return root, nil
}

// fill makes n the block m.
func (n *Node) fill(m map[string]any, depth int) error {
	n.block = true
	// Sorted first, so that two files with the same content are the same tree
	// where the parser gives no lines.
	for _, key := range slices.Sorted(maps.Keys(m)) {
		v := *n // place and file, unless the value knows its own
		v.children, v.items, v.block = nil, nil, false
		if err := v.set(m[key], depth); err != nil {
			return err
		}
		if err := n.add(key, &v); err != nil {
			return err
		}
	}
	n.order()
	return nil
}

// set gives n the value that the parser found.
func (n *Node) set(v any, depth int) error {
	if depth > maxDepth {
		return n.Errorf("nested deeper than %d", maxDepth)
	}
	if t, ok := v.(token); ok {
		n.line, n.pos, v = t.Line(), t.Position(), t.Value()
		if f := t.SourceFile(); f != "" {
			n.file = f
		}
	}
	switch v := v.(type) {
	case map[string]any:
		return n.fill(v, depth+1)
	case []any:
		n.items = make([]*Node, len(v))
		for i, e := range v {
			n.items[i] = &Node{name: fmt.Sprint(i), file: n.file, line: n.line}
			if err := n.items[i].set(e, depth+1); err != nil {
				return err
			}
		}
	case json.Number:
		n.value = number(v)
	default:
		n.value = v
	}
	return nil
}

func number(v json.Number) any {
	if i, err := v.Int64(); err == nil {
		return i
	}
	f, _ := v.Float64()
	return f
}

// add puts v under the dotted key, merged with what is there.
func (n *Node) add(key string, v *Node) error {
	parts := strings.Split(key, ".")
	at := n
	for _, p := range parts[:len(parts)-1] {
		if at = at.child(p, v); !at.block {
			return v.Errorf("%s is a value already and cannot hold %s", at.path, key)
		}
	}
	v.name = parts[len(parts)-1]
	old := at.Get(v.name)
	if old == nil {
		at.children = append(at.children, v)
		v.rename(at.path)
		at.order()
		return nil
	}
	if !old.block || !v.block {
		return v.Errorf("%s is given twice", join(at.path, v.name))
	}
	for _, c := range v.children {
		if err := old.add(c.name, c); err != nil {
			return err
		}
	}
	return nil
}

// rename fills in the paths of n and all below.
func (n *Node) rename(parent string) {
	n.path = join(parent, n.name)
	for _, c := range n.children {
		c.rename(n.path)
	}
	for i, e := range n.items {
		e.path = fmt.Sprintf("%s[%d]", n.path, i)
		for _, c := range e.children {
			c.rename(e.path)
		}
	}
}
