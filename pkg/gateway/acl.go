package gateway

import (
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
		subjects, err := m.Subscribe(subject.Expand(r.Topic, lookup))
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
