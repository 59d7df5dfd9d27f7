package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHistogramQuantiles: a bucket's middle is near all that fall in it, and
// quantiles are those of the sorted values.
func TestHistogramQuantiles(t *testing.T) {
	t.Parallel()
	for range 100_000 {
		d := time.Duration(rand.Int64N(1 << rand.IntN(45)))
		require.InDelta(t, float64(d), float64(middle(bucket(d))), float64(d)/100+1)
	}
	var a, b, all histogram
	for i := 1; i <= 10_000; i++ { // two halves, as two clients would have them
		h := &a
		if i%2 == 0 {
			h = &b
		}
		h.add(time.Duration(i) * time.Microsecond)
	}
	all.merge(&a)
	all.merge(&b)
	p50, p99, p999 := all.quantiles()
	require.InEpsilon(t, 5.0, p50, 0.02)
	require.InEpsilon(t, 9.9, p99, 0.02)
	require.InEpsilon(t, 9.99, p999, 0.02)
}
