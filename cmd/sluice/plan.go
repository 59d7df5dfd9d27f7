package main

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"sluice/pkg/config"
	"sluice/pkg/gateway"
	"sluice/pkg/subject"
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
	if err := config.Decode(root, &p.settings); err != nil {
		return nil, err
	}
	if p.Gateway != nil {
		if p.instances, err = decodeInstances(p.Gateway); err != nil {
			return nil, err
		}
	}
	return p, p.check()
}

// check looks at what no single block can know: binds used twice, anonymous
// access outside loopback that nobody wrote down, roots.
func (p *plan) check() error {
	seen := map[string]string{}
	for _, i := range p.instances {
		for id, bind := range i.conf.Common().Binds() {
			where := i.String() + " listener." + id
			host, port, err := net.SplitHostPort(bind)
			if err != nil {
				return fmt.Errorf("%s: bind %q: %w", where, bind, err)
			}
			if host == "0.0.0.0" || host == "::" {
				host = ""
			}
			for other, at := range seen {
				h, p, _ := net.SplitHostPort(other)
				if port == p && port != "0" && (h == host || h == "" || host == "") {
					return fmt.Errorf("%s: bind %s is used by %s", where, bind, at)
				}
			}
			seen[net.JoinHostPort(host, port)] = where
		}
	}
	_, err := p.streamOptions()
	return err
}

// streamOptions computes the roots of GW_DATA from all mountpoints.
func (p *plan) streamOptions() (streams.Options, error) {
	o := streams.Options{
		Roots: slices.Clone(p.Data.Roots), Replicas: p.Data.Replicas, DataMaxAge: p.Data.MaxAge,
		DataMaxBytes: int64(p.Data.MaxBytes), QueueLimit: p.Data.QueueLimit, WorkLimit: p.Data.WorkLimit,
		Keep: p.file == "",
	}
	for _, i := range p.instances {
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
	if len(o.Roots) == 0 {
		o.Roots = streams.DefaultOptions().Roots
	}
	o.Roots = streams.MergeRoots(o.Roots)
	return o, streams.CheckRoots(o.Roots)
}

// decodeInstances reads the gateway block: "stomp.default { ... }", or the
// seed's "stomp { ... }" for the instance default.
func decodeInstances(n *config.Node) (all []instance, err error) {
	known := map[string]gateway.Kind{}
	for _, k := range kinds() {
		known[k.Proto] = k
	}
	for _, block := range n.Children() {
		k, ok := known[block.Name()]
		if !ok {
			return nil, block.Errorf("unknown protocol; known are %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
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
				return nil, err
			}
			all = append(all, instance{k, name, c})
		}
	}
	return all, nil
}
