package subject

import "strings"

// Tree is a set of values under NATS filters, asked by literal subject. It is
// not safe for concurrent use. The zero value is empty.
type Tree[T comparable] struct {
	root node[T]
	size int
}

type node[T comparable] struct {
	children map[string]*node[T]
	values   map[T]struct{}
}

// Len is the number of (filter, value) pairs held.
func (t *Tree[T]) Len() int { return t.size }

// Add puts a value under a filter; adding it twice changes nothing.
func (t *Tree[T]) Add(filter string, v T) {
	n := &t.root
	for token := range strings.SplitSeq(filter, ".") {
		next := n.children[token]
		if next == nil {
			if n.children == nil {
				n.children = map[string]*node[T]{}
			}
			next = &node[T]{}
			n.children[token] = next
		}
		n = next
	}
	if n.values == nil {
		n.values = map[T]struct{}{}
	}
	if _, had := n.values[v]; !had {
		n.values[v] = struct{}{}
		t.size++
	}
}

// Remove takes a value from under a filter and drops branches left empty.
func (t *Tree[T]) Remove(filter string, v T) {
	t.remove(&t.root, strings.Split(filter, "."), v)
}

func (t *Tree[T]) remove(n *node[T], tokens []string, v T) (empty bool) {
	if len(tokens) == 0 {
		if _, had := n.values[v]; had {
			delete(n.values, v)
			t.size--
		}
	} else if child := n.children[tokens[0]]; child != nil && t.remove(child, tokens[1:], v) {
		delete(n.children, tokens[0])
	}
	return len(n.values) == 0 && len(n.children) == 0
}

// Match calls found for every value whose filter matches; a value that stands
// under several matching filters is reported once for each.
func (t *Tree[T]) Match(subj string, found func(T)) { t.root.match(subj, found) }

func (n *node[T]) match(subj string, found func(T)) {
	if tail := n.children[">"]; tail != nil {
		tail.each(found)
	}
	token, rest, more := strings.Cut(subj, ".")
	for _, key := range [2]string{token, "*"} {
		child := n.children[key]
		switch {
		case child == nil:
		case more:
			child.match(rest, found)
		default:
			child.each(found)
		}
		if token == "*" {
			return // a literal "*" must not be visited twice
		}
	}
}

func (n *node[T]) each(found func(T)) {
	for v := range n.values {
		found(v)
	}
}
