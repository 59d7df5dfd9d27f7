package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func moduleRoot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// eachFile parses every Go file of the module that people wrote.
func eachFile(t *testing.T, f func(path string, fset *token.FileSet, file *ast.File)) {
	t.Helper()
	root := moduleRoot(t)
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "node_modules" || d.Name() == "data") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".pb.go") {
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		f(filepath.ToSlash(rel), fset, file)
		return nil
	})
	require.NoError(t, err)
}

func testNames(t *testing.T, _ string) map[string]bool {
	names := map[string]bool{}
	eachFile(t, func(path string, _ *token.FileSet, file *ast.File) {
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasSuffix(path, "_test.go") {
				names[fn.Name.Name] = true
			}
		}
	})
	return names
}

// TestSizes keeps every file one concept and every function one screen. The
// aims are 80 to 250 lines and 40; these are the limits.
func TestSizes(t *testing.T) {
	eachFile(t, func(path string, fset *token.FileSet, file *ast.File) {
		isTest := strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "tests/")
		limit, fnLimit := 500, 80
		if isTest {
			limit, fnLimit = 800, 150
		}
		lines := fset.Position(file.End()).Line
		require.LessOrEqual(t, lines, limit, "%s: more than one concept?", path)
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
				require.LessOrEqual(t, n, fnLimit, "%s: %s does not fit a screen", path, fn.Name.Name)
			}
		}
	})
}

// TestNoHiddenState: no init, no package-level variable that is meant to change.
// Sentinel errors, compiled tables and pools are written once.
func TestNoHiddenState(t *testing.T) {
	eachFile(t, func(path string, fset *token.FileSet, file *ast.File) {
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "tests/") {
			return
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				require.False(t, d.Recv == nil && d.Name.Name == "init", "%s: init() hides when things happen", path)
			case *ast.GenDecl:
				if d.Tok != token.VAR {
					continue
				}
				for _, s := range d.Specs {
					v := s.(*ast.ValueSpec)
					for _, name := range v.Names {
						ok := len(v.Values) > 0 || v.Type != nil && strings.Contains(fset.Position(v.Pos()).Filename, "embed")
						require.True(t, ok, "%s: package variable %s without a value is state", path, name.Name)
					}
				}
			}
		}
	})
}

// TestForbiddenCalls: sleeping is no synchronisation, and a context that comes
// from nowhere cannot be cancelled.
func TestForbiddenCalls(t *testing.T) {
	allowedBackground := map[string]string{
		"pkg/gateway/node.go":   "the node outlives the context that opened it; Close ends it",
		"pkg/natsx/micro.go":    "the root of all calls of a service; Stop ends it",
		"pkg/natsx/connect.go":  "log records need a context",
		"pkg/listen/sockets.go": "to bind an address waits for nobody",
	}
	eachFile(t, func(path string, fset *token.FileSet, file *ast.File) {
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "tests/") || strings.HasPrefix(path, "cmd/") || strings.HasPrefix(path, "pkg/sim/") {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			at := fset.Position(sel.Pos())
			require.False(t, x.Name == "time" && sel.Sel.Name == "Sleep", "%s:%d: time.Sleep is no synchronisation", path, at.Line)
			if x.Name == "context" && (sel.Sel.Name == "Background" || sel.Sel.Name == "TODO") {
				require.Contains(t, allowedBackground, path, "line %d: this context cannot be cancelled", at.Line)
			}
			require.False(t, x.Name == "fmt" && strings.HasPrefix(sel.Sel.Name, "Print"), "%s:%d: libraries do not print", path, at.Line)
			return true
		})
	})
}

func TestPackageNames(t *testing.T) {
	for _, p := range list(t) {
		for _, bad := range []string{"util", "utils", "common", "helper", "helpers", "base", "manager", "misc"} {
			require.NotEqual(t, bad, filepath.Base(p.ImportPath), "a name that says nothing")
		}
	}
}

// TestDependenciesAreExplained: every direct requirement has a line.
func TestDependenciesAreExplained(t *testing.T) {
	root := moduleRoot(t)
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	doc, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	require.NoError(t, err)
	for line := range strings.SplitSeq(string(mod), "\n") {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) == 2 && strings.HasPrefix(fields[1], "v") && strings.Contains(fields[0], ".") {
			require.Contains(t, string(doc), fields[0], "go.mod requires it directly: say why in docs/dependencies.md")
		}
	}
}
