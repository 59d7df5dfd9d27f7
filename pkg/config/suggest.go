package config

import (
	"fmt"
	"slices"
	"strings"
)

// suggestion names the key that was probably meant, or all there are.
func suggestion(name string, fields []field) string {
	best, at := 3, ""
	var keys []string
	for _, f := range fields {
		keys = append(keys, f.key)
		if d := distance(name, f.key); d < best {
			best, at = d, f.key
		}
	}
	if at != "" {
		return fmt.Sprintf("; did you mean %s?", at)
	}
	slices.Sort(keys)
	return "; known here: " + strings.Join(keys, ", ")
}

// distance is the Levenshtein distance of two keys, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
