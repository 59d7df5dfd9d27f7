// Package arch holds the rules of the house as tests: who may import whom and
// why, what may not be called, and how large things may grow.
package arch

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type pkg struct {
	ImportPath   string
	Dir          string
	Standard     bool
	Imports      []string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
}

// list is every package of the module.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Standard,Imports,GoFiles,TestGoFiles,XTestGoFiles", "sluice/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p pkg
		require.NoError(t, d.Decode(&p))
		all = append(all, p)
	}
	require.NotEmpty(t, all)
	return all
}

func under(path string, roots ...string) bool {
	for _, r := range roots {
		if path == "sluice/"+r || strings.HasPrefix(path, "sluice/"+r+"/") {
			return true
		}
	}
	return false
}

func standard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".") && first != "sluice"
}

// floor is 0 to 5, as in docs/architecture.md; -1 is outside the house.
func floor(path string) int {
	switch {
	case under(path, "pkg/wire", "pkg/subject", "pkg/api"):
		return 0
	case under(path, "streams"):
		return 1
	case under(path, "pkg/gateway"):
		return 3
	case under(path, "pkg"):
		return 2
	case under(path, "services"):
		return 4
	case under(path, "cmd", "tests"):
		return 5
	}
	return -1
}

func TestFloors(t *testing.T) {
	for _, p := range list(t) {
		for _, imp := range p.Imports {
			if standard(imp) {
				continue
			}
			from, to := floor(p.ImportPath), floor(imp)
			require.NotEqual(t, -1, from, "%s: not on any floor", p.ImportPath)
			if from == 0 && p.ImportPath == "sluice/pkg/wire/jt808" && strings.HasPrefix(imp, "golang.org/x/text/") {
				continue // GBK: a well-kept library beats a table of our own
			}
			if from == 0 {
				require.Equal(t, 0, to, "%s imports %s: words and frames are pure and use the standard library only", p.ImportPath, imp)
			}
			require.LessOrEqual(t, to, from, "%s imports %s: a lower floor knows nothing of a higher one", p.ImportPath, imp)
			if under(p.ImportPath, "pkg/wire") {
				require.False(t, under(imp, "pkg/wire") && imp != p.ImportPath && !under(imp, "pkg/wire/layout"), "%s imports %s: protocols do not lean on each other", p.ImportPath, imp)
			}
			if from == 4 && to == 4 {
				require.Equal(t, service(p.ImportPath), service(imp), "%s imports %s: services talk over NATS only", p.ImportPath, imp)
			}
		}
	}
}

func service(path string) string {
	return strings.SplitN(strings.TrimPrefix(path, "sluice/services/"), "/", 2)[0]
}

// edges terminate a protocol: they reach NATS only through the door.
var edges = []string{"stomp", "mqttsn", "coap", "lwm2m", "exproto", "jt808", "gbt32960", "privtcp"}

func TestLibrariesHaveOneDoor(t *testing.T) {
	rules := []struct {
		library string
		only    []string
		why     string
	}{
		{"github.com/prometheus/client_golang", []string{"pkg/metrics"}, "metrics are declared in one place"},
		{"github.com/coder/websocket", []string{"pkg/listen", "pkg/sim"}, "edges see a byte stream"},
		{"github.com/pion/dtls", []string{"pkg/listen"}, "edges see datagrams"},
		{"github.com/pion/logging", []string{"pkg/listen"}, "it is there to keep pion/dtls silent"},
		{"golang.org/x/net", []string{"pkg/listen"}, "sockets are one package's business"},
		{"golang.org/x/sys", []string{"pkg/listen"}, "sockets are one package's business"},
		{"github.com/nats-io/nats-server/v2/conf", []string{"pkg/config"}, "one parser, one strictness"},
		{"github.com/nats-io/nats-server/v2/server", []string{"pkg/natsx", "tests", "cmd"}, "one way to embed a server"},
		{"github.com/urfave/cli", []string{"cmd"}, "only commands have flags"},
		{"golang.org/x/text", []string{"pkg/wire/jt808"}, "GBK is one protocol's business"},
		{"golang.org/x/crypto", []string{"services/authn"}, "passwords are checked in one place"},
		{"github.com/stretchr/testify", []string{"tests"}, "test code stays in tests"},
	}
	for _, p := range list(t) {
		for _, imp := range p.Imports {
			for _, r := range rules {
				if strings.HasPrefix(imp, r.library) {
					require.True(t, under(p.ImportPath, r.only...), "%s imports %s: %s", p.ImportPath, imp, r.why)
				}
			}
			for _, e := range edges {
				if under(p.ImportPath, "services/"+e) {
					require.NotContains(t, imp, "nats-io", "%s imports %s: an edge reaches NATS only through the door", p.ImportPath, imp)
				}
			}
		}
	}
}

func TestSupportTablesNameExistingTests(t *testing.T) {
	root := moduleRoot(t)
	for _, e := range edges {
		dir := filepath.Join(root, "services", e)
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			continue
		}
		for _, name := range []string{"doc.go", "conn.go", "reply.go", "support.md", "interpretation.md", "conform_test.go"} {
			require.FileExists(t, filepath.Join(dir, name), "every edge has the one shape of docs/architecture.md")
		}
		table, err := os.ReadFile(filepath.Join(dir, "support.md"))
		require.NoError(t, err)
		tests := testNames(t, root)
		for _, word := range strings.FieldsFunc(string(table), func(r rune) bool {
			return !(r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
		}) {
			if strings.HasPrefix(word, "Test") && len(word) > 4 {
				require.Contains(t, tests, word, "services/%s/support.md names a test that does not exist", e)
			}
		}
	}
}
