package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Node is a key of a configuration with its value: a block of further keys, a
// list, or a scalar (string, bool, int64, float64).
type Node struct {
	name, path string
	file       string
	line       int
	pos        int
	block      bool
	used       bool    // a variable that another value of the file refers to
	children   []*Node // of a block, in the order of the file
	items      []*Node // of a list
	value      any     // scalar; nil for blocks and lists
}

// Name is the last part of the path.
func (n *Node) Name() string { return n.name }

// Path is the full dotted path from the root, whose path is "".
func (n *Node) Path() string { return n.path }

// Line is where the key stands in its file, from 1.
func (n *Node) Line() int { return n.line }

// IsBlock tells a block of keys from lists and scalars.
func (n *Node) IsBlock() bool { return n.block }

// Children are the keys of a block in the order of the file; nil for others.
func (n *Node) Children() []*Node { return n.children }

// Get is the child of that name, or nil.
func (n *Node) Get(name string) *Node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// Errorf makes an error that says where it is: "file:12: gateway.stomp: ...".
func (n *Node) Errorf(format string, args ...any) error {
	return fmt.Errorf("%s"+format, append([]any{n.where("")}, args...)...)
}

// Wrap puts the place before err, or before each error that is joined in it.
func (n *Node) Wrap(err error) error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range many.Unwrap() {
			out = append(out, n.Wrap(e))
		}
		return errors.Join(out...)
	}
	return fmt.Errorf("%s%w", n.where("."), err)
}

// where is the place with sep between the path and what follows: errors of
// Validate begin with the rest of the path, others do not.
func (n *Node) where(sep string) string {
	at := ""
	if n.file != "" {
		at = n.file + ":"
		if n.line > 0 {
			at += fmt.Sprint(n.line, ":")
		}
		at += " "
	}
	if n.path == "" {
		return at
	}
	return at + n.path + cmp.Or(sep, ": ")
}

// kind names the type of the value for errors.
func (n *Node) kind() string {
	switch {
	case n.block:
		return "a block"
	case n.items != nil:
		return "a list"
	}
	switch n.value.(type) {
	case string:
		return "a string"
	case bool:
		return "true or false"
	case int64:
		return "a number"
	case float64:
		return "a fraction"
	}
	return fmt.Sprintf("a %T", n.value)
}

// child finds or makes a block on the way of a dotted key.
func (n *Node) child(name string, like *Node) *Node {
	if c := n.Get(name); c != nil {
		return c
	}
	c := &Node{name: name, path: join(n.path, name), file: like.file, line: like.line, pos: like.pos, block: true}
	n.children = append(n.children, c)
	return c
}

// order sorts all blocks by place; files included count in the order of their
// names.
func (n *Node) order() {
	for _, c := range append(n.children[:len(n.children):len(n.children)], n.items...) {
		c.order()
	}
	slices.SortStableFunc(n.children, func(a, b *Node) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line), cmp.Compare(a.pos, b.pos))
	})
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
