package e2e

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 30 * time.Second // for what must happen on a busy machine

// programs builds sluice and nats-server once for all tests.
var programs = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "sluice-e2e-"); err != nil {
		return "", err
	}
	for out, pkg := range map[string]string{"sluice": "sluice/cmd/sluice", "nats-server": "github.com/nats-io/nats-server/v2"} {
		if text, err := exec.Command("go", "build", "-o", filepath.Join(dir, out), pkg).CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", pkg, err, text)
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := programs(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// process is a program that runs, with what it has printed.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan error

	mu  sync.Mutex
	out strings.Builder
}

// start runs a program of ours; the test's end kills it.
func start(t *testing.T, name, program string, args ...string) *process {
	t.Helper()
	dir, err := programs()
	require.NoError(t, err)
	p := &process{name: name, cmd: exec.Command(filepath.Join(dir, program), args...), done: make(chan error, 1)}
	r, w, err := os.Pipe()
	require.NoError(t, err)
	p.cmd.Stdout, p.cmd.Stderr = w, w
	require.NoError(t, p.cmd.Start())
	require.NoError(t, w.Close())
	go p.read(r)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("--- %s\n%s", name, p.output())
		}
	})
	return p
}

func (p *process) read(r *os.File) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		p.mu.Lock()
		p.out.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
	}
	_ = r.Close()
	p.done <- p.cmd.Wait()
	close(p.done)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL) // gone already: as well
	<-p.done
}

// end asks politely and gives the exit code.
func (p *process) end(t *testing.T) int {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%s does not end", p.name)
		return -1
	}
}

// printed waits for a line and gives its first group.
func (p *process) printed(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var found []string
	require.Eventually(t, func() bool {
		found = re.FindStringSubmatch(p.output())
		return found != nil
	}, patience, 5*time.Millisecond, "%s never printed %s", p.name, pattern)
	return found[len(found)-1]
}

// freePort is one that nobody uses at the moment.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}
