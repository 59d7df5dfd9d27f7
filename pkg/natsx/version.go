package natsx

import (
	"cmp"
	"regexp"
	"strings"
)

var (
	semver  = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
	unnamed = regexp.MustCompile(`[^0-9A-Za-z-]+`)
)

// semantic makes a version that micro takes of "v1.2.3", "dev" or a commit.
func semantic(v string) string {
	if v = strings.TrimPrefix(v, "v"); semver.MatchString(v) {
		return v
	}
	return "0.0.0+" + cmp.Or(unnamed.ReplaceAllString(v, "-"), "dev")
}
