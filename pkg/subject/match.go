package subject

import "strings"

// Match tells whether a NATS filter ("*", ">") matches a literal subject.
func Match(filter, subj string) bool {
	for {
		f, frest, fmore := strings.Cut(filter, ".")
		if f == ">" {
			return subj != ""
		}
		s, srest, smore := strings.Cut(subj, ".")
		if f != "*" && f != s {
			return false
		}
		if !fmore || !smore {
			return fmore == smore
		}
		filter, subj = frest, srest
	}
}

// Overlap tells whether some literal subject matches both filters: two streams
// must not claim such a pair.
func Overlap(a, b string) bool {
	for {
		x, xrest, xmore := strings.Cut(a, ".")
		y, yrest, ymore := strings.Cut(b, ".")
		if x == ">" || y == ">" {
			return true
		}
		if x != "*" && y != "*" && x != y {
			return false
		}
		if !xmore || !ymore {
			return xmore == ymore
		}
		a, b = xrest, yrest
	}
}

// Covers tells whether every literal subject that matches filter b matches a.
func Covers(a, b string) bool {
	for {
		x, xrest, xmore := strings.Cut(a, ".")
		if x == ">" {
			return true
		}
		y, yrest, ymore := strings.Cut(b, ".")
		if y == ">" || x != "*" && x != y {
			return false
		}
		if !xmore || !ymore {
			return xmore == ymore
		}
		a, b = xrest, yrest
	}
}
