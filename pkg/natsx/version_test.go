package natsx

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionsAreSemantic(t *testing.T) {
	for in, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.2.3-4-gabc-dirty": "1.2.3-4-gabc-dirty", "dev": "0.0.0+dev", "": "0.0.0+dev", "a/b": "0.0.0+a-b",
	} {
		require.Equal(t, want, semantic(in))
	}
}
