package listen

import (
	"fmt"
	"net/netip"
	"strings"
)

// rule allows or denies the addresses of a prefix.
type rule struct {
	allow  bool
	all    bool
	prefix netip.Prefix
}

type rules []rule

// parseRules reads "allow|deny <ip>|<cidr>|all".
func parseRules(lines []string) (rules, error) {
	out := make(rules, 0, len(lines))
	for i, line := range lines {
		r, err := parseRule(line)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %q: %w", i, line, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func parseRule(line string) (r rule, err error) {
	f := strings.Fields(line)
	if len(f) != 2 {
		return r, fmt.Errorf("want \"allow|deny <ip>|<cidr>|all\"")
	}
	switch f[0] {
	case "allow":
		r.allow = true
	case "deny":
	default:
		return r, fmt.Errorf("%q is not allow or deny", f[0])
	}
	switch {
	case f[1] == "all":
		r.all = true
	case strings.Contains(f[1], "/"):
		p, err := netip.ParsePrefix(f[1])
		if err != nil {
			return r, err
		}
		r.prefix = p.Masked()
		if p.Addr().Is4In6() { // such a prefix would never match: addresses are unmapped
			return r, fmt.Errorf("write it as an IPv4 prefix")
		}
	default:
		a, err := netip.ParseAddr(f[1])
		if err != nil {
			return r, err
		}
		a = plain(a)
		r.prefix = netip.PrefixFrom(a, a.BitLen())
	}
	return r, nil
}

// allows tells whether an address may connect. The first rule that matches
// decides; if none does it may, as in EMQX, so a list of allows ends in "deny all".
func (rs rules) allows(a netip.Addr) bool {
	a = plain(a)
	for _, r := range rs {
		if r.all || r.prefix.Contains(a) {
			return r.allow
		}
	}
	return true
}

// plain makes one address of an IPv4 address and its IPv6 form, and drops the
// zone, which would keep a prefix from matching.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
