package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsReturnedWhenQuiet(t *testing.T) {
	m := memory{}
	require.False(t, m.worthReturning(1<<30, 10*time.Second), "the process is starting")
	require.True(t, m.worthReturning(1<<30+1<<20, 10*time.Second))
	require.False(t, m.worthReturning(1<<30+2<<20, 10*time.Second), "there is nothing to return")
	require.False(t, m.worthReturning(2<<30, 10*time.Second), "it is at work")
	require.True(t, m.worthReturning(2<<30, 10*time.Second))
	before := allocated()
	b := make([]byte, 1<<20)
	require.GreaterOrEqual(t, allocated(), before+uint64(len(b)))
}
