package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"sluice/pkg/config"
	"sluice/pkg/gateway"
	"sluice/pkg/subject"
	"sluice/services/translator"
	"sluice/streams"
)

// instance is one configured gateway, decoded and valid.
type instance struct {
	kind gateway.Kind
	name string
	conf gateway.Config
}

func (i instance) String() string { return i.kind.Proto + "." + i.name }

// plan is all that a process is told to run.
type plan struct {
	settings
	instances []instance
	services  []string
	file      string // where it was read; "" = none
}

// developmentPlan is what runs without a file: every protocol on loopback with
// its default port, anonymous devices let in.
func developmentPlan() (*plan, error) {
	p := &plan{settings: defaultSettings()}
	for _, k := range kinds() {
		n, err := config.Parse("built-in", []byte(k.Development))
		if err != nil {
			return nil, err
		}
		c, err := k.Decode(n)
		if err != nil {
			return nil, err
		}
		p.instances = append(p.instances, instance{k, "default", c})
	}
	return p, nil
}

// loadPlan reads and checks a configuration file.
func loadPlan(path string) (*plan, error) {
	root, err := config.ParseFile(path)
	if err != nil {
		return nil, err
	}
	p := &plan{settings: defaultSettings(), file: path}
	err = config.Decode(root, &p.settings)
	if p.Gateway != nil {
		instances, wrong := decodeInstances(p.Gateway)
		p.instances, err = instances, errors.Join(err, wrong)
	}
	if err != nil { // then what the blocks say together means nothing
		return nil, err
	}
	return p, p.check()
}

// check looks at what no single block can know: binds used twice, and roots.
func (p *plan) check() error {
	var errs []error
	seen := map[string]string{}
	for _, i := range p.instances {
		binds := i.conf.Common().Binds()
		for _, id := range slices.Sorted(maps.Keys(binds)) {
			where := fmt.Sprintf("gateway.%s.listener.%s", i, id)
			if err := claim(seen, where, binds[id]); err != nil {
				errs = append(errs, err)
			}
		}
	}
	_, err := p.streamOptions()
	return errors.Join(append(errs, err)...)
}

// claim adds a bind to those seen, unless one of them takes the port already.
func claim(seen map[string]string, where, bind string) error {
	host, port, err := net.SplitHostPort(bind)
	if err != nil {
		return fmt.Errorf("%s: bind %q: %w", where, bind, err)
	}
	if host == "0.0.0.0" || host == "::" {
		host = ""
	}
	for _, other := range slices.Sorted(maps.Keys(seen)) {
		h, p, _ := net.SplitHostPort(other) // joined below
		if port == p && port != "0" && (h == host || h == "" || host == "") {
			return fmt.Errorf("%s: bind %s is used by %s", where, bind, seen[other])
		}
	}
	seen[net.JoinHostPort(host, port)] = where
	return nil
}

// streamOptions computes the roots of GW_DATA from all mountpoints.
func (p *plan) streamOptions() (streams.Options, error) {
	o := streams.Options{
		Roots: slices.Clone(p.Data.Roots), Replicas: p.Data.Replicas, DataMaxAge: p.Data.MaxAge,
		DataMaxBytes: int64(p.Data.MaxBytes), QueueLimit: p.Data.QueueLimit, WorkLimit: p.Data.WorkLimit,
		RawMaxAge: p.Data.MaxAge, Keep: p.file == "",
	}
	for _, i := range p.instances {
		if t, ok := i.conf.(gateway.Topical); ok {
			if err := addTopics(&o, t); err != nil {
				return o, fmt.Errorf("gateway.%s: %w", i, err)
			}
			continue
		}
		for _, mount := range i.conf.Common().Mountpoints() {
			root, ok := subject.Root(mount)
			if !ok && len(p.Data.Roots) == 0 {
				return o, fmt.Errorf("gateway.%s: mountpoint %q has no literal first level: set data.roots to the subjects that are to be kept", i, mount)
			}
			if ok {
				o.Roots = append(o.Roots, root)
			}
		}
	}
	o.Roots = append(o.Roots, o.Reports...)
	if len(o.Roots) == 0 {
		o.Roots = streams.DefaultOptions().Roots
	}
	o.Roots, o.Commands = streams.MergeRoots(o.Roots), streams.MergeRoots(o.Commands)
	return o, streams.Check(o)
}

// downlinks are where commands for the devices of message protocols come from.
func (p *plan) downlinks() (all []translator.Downlink) {
	for _, i := range p.instances {
		if t, ok := i.conf.(gateway.Topical); ok {
			_, down := t.Topics()
			for _, template := range down {
				all = append(all, translator.Downlink{Proto: i.kind.Proto, Instance: i.name, Template: template})
			}
		}
	}
	return all
}

// addTopics has what devices of a message protocol say go to GW_DATA, and what
// they are told to GW_COMMANDS.
func addTopics(o *streams.Options, t gateway.Topical) error {
	up, down := t.Topics()
	for _, template := range up {
		p, err := subject.Pattern(template)
		if err != nil {
			return err
		}
		o.Reports = append(o.Reports, p, streams.UntranslatedSubject(p))
	}
	for _, template := range down {
		p, err := subject.Pattern(template)
		if err != nil {
			return err
		}
		o.Commands = append(o.Commands, p)
	}
	return nil
}

// decodeInstances reads the gateway block: "stomp.default { ... }", or the
// seed's "stomp { ... }" for the instance default. The error has all that is
// wrong in any of them.
func decodeInstances(n *config.Node) ([]instance, error) {
	if !n.IsBlock() {
		return nil, n.Errorf("must be <protocol>.<name> { ... }")
	}
	known := map[string]gateway.Kind{}
	for _, k := range kinds() {
		known[k.Proto] = k
	}
	var all []instance
	var errs []error
	for _, block := range n.Children() {
		k, ok := known[block.Name()]
		if !ok {
			errs = append(errs, block.Errorf("unknown protocol; known are %s", strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
			continue
		}
		named := map[string]*config.Node{"default": block}
		if k.Named(block) {
			named = map[string]*config.Node{}
			for _, c := range block.Children() {
				named[c.Name()] = c
			}
		}
		for _, name := range slices.Sorted(maps.Keys(named)) {
			c, err := k.Decode(named[name])
			if err != nil {
				errs = append(errs, err)
				continue
			}
			all = append(all, instance{k, name, c})
		}
	}
	return all, errors.Join(errs...)
}
