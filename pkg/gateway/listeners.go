package gateway

import (
	"errors"
	"maps"
	"slices"

	"sluice/pkg/config"
	"sluice/pkg/listen"
)

// Listeners are an instance's listeners by type and name.
type Listeners map[string]map[string]listen.Config

// UnmarshalConf implements [config.Unmarshaler]: each listener begins with the
// defaults of its type. "tcp { bind: ... }" is the listener named default.
func (l *Listeners) UnmarshalConf(n *config.Node) error {
	if !n.IsBlock() {
		return n.Errorf("must be listener.<type>.<name> { ... }")
	}
	var errs []error
	for _, typ := range n.Children() {
		named := typ.Children()
		if !typ.IsBlock() || !isNamed(typ) {
			errs = append(errs, l.add(typ.Name(), "default", typ))
			continue
		}
		for _, c := range named {
			errs = append(errs, l.add(typ.Name(), c.Name(), c))
		}
	}
	return errors.Join(errs...)
}

// isNamed tells blocks of names from the block of one listener: a listener has
// a bind, and names hold nothing but blocks.
func isNamed(n *config.Node) bool {
	return !slices.ContainsFunc(n.Children(), func(c *config.Node) bool { return !c.IsBlock() })
}

func (l *Listeners) add(typ, name string, n *config.Node) error {
	if typ == "ssl" { // EMQX's name
		typ = listen.TLS
	}
	if _, twice := (*l)[typ][name]; twice {
		return n.Errorf("listener %s.%s is given twice", typ, name)
	}
	c := listen.Default(typ)
	c.Name = name
	if err := config.Decode(n, &c); err != nil {
		return err
	}
	if *l == nil {
		*l = Listeners{}
	}
	if (*l)[typ] == nil {
		(*l)[typ] = map[string]listen.Config{}
	}
	(*l)[typ][name] = c
	return nil
}

// each calls f for all listeners in a stable order, with type and name filled in.
func (l Listeners) each(f func(listen.Config)) {
	for _, typ := range slices.Sorted(maps.Keys(l)) {
		for _, name := range slices.Sorted(maps.Keys(l[typ])) {
			c := l[typ][name]
			c.Type, c.Name = typ, name
			f(c)
		}
	}
}

// Binds are the addresses of all enabled listeners by "<type>.<name>".
func (c *InstanceConfig) Binds() map[string]string {
	out := map[string]string{}
	c.Listener.each(func(l listen.Config) {
		if c.Enable && l.Enable {
			out[l.Type+"."+l.Name] = l.Address()
		}
	})
	return out
}

// Mountpoints are all that devices of the instance can have.
func (c *InstanceConfig) Mountpoints() []string {
	out := []string{c.Mountpoint}
	c.Listener.each(func(l listen.Config) {
		if l.Mountpoint != nil {
			out = append(out, *l.Mountpoint)
		}
	})
	return out
}
