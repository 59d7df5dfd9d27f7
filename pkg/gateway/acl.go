package gateway

import (
	"fmt"
	"strings"

	"sluice/pkg/api"
	"sluice/pkg/subject"
)

type action uint8

const (
	actionPublish action = 1 << iota
	actionSubscribe
)

// acl are the rules of one client, on mounted subjects. Without rules all is
// allowed; with rules, what none matches is denied.
type acl []aclRule

type aclRule struct {
	allow    bool
	on       action
	subjects []string
}

func newACL(rules []api.Rule, m subject.Mount, lookup func(string) (string, bool)) (acl, error) {
	var out acl
	for _, r := range rules {
		topic, bad := expand(r.Topic, lookup)
		subjects, err := m.Subscribe(topic)
		if bad != "" { // a client named "+" must not get the rule of all clients
			err = fmt.Errorf("%s has characters that a level of a topic cannot take", bad)
		}
		if err != nil {
			return nil, api.Errorf(api.Denied, "authorize", "rule on %q does not fit this client: %w", r.Topic, err)
		}
		on := actionPublish | actionSubscribe
		switch r.Action {
		case "publish":
			on = actionPublish
		case "subscribe":
			on = actionSubscribe
		}
		out = append(out, aclRule{allow: r.Permission == "allow", on: on, subjects: subjects})
	}
	return out, nil
}

// expand fills a template in. bad names a variable whose value would add levels
// or wildcards: it could reach into the topics of others.
func expand(template string, lookup func(string) (string, bool)) (topic, bad string) {
	topic = subject.Expand(template, func(name string) (string, bool) {
		v, ok := lookup(name)
		if ok && strings.ContainsAny(v, "/+#*>") {
			bad = name
		}
		return v, ok
	})
	return topic, bad
}

// allows decides by the first rule that matches. subj may be a filter: an allow
// must cover all of it, a deny need only touch it.
func (a acl) allows(on action, subj string) bool {
	if len(a) == 0 {
		return true
	}
	for _, r := range a {
		if r.on&on == 0 {
			continue
		}
		for _, s := range r.subjects {
			if r.allow && subject.Covers(s, subj) {
				return true
			}
			if !r.allow && subject.Overlap(s, subj) {
				return false
			}
		}
	}
	return false
}
