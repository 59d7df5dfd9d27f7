//go:build unix

package natsx

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const pausedEnv = "SLUICE_TEST_PAUSED_URL"

// TestPausedChild is the process that TestLeasePausedProcess stops.
func TestPausedChild(t *testing.T) {
	url := os.Getenv(pausedEnv)
	if url == "" {
		return // in an ordinary run there is nothing to do
	}
	nc := connect(t, Options{URLs: []string{url}})
	js, _ := bucket(t, nc, "L")
	l, err := Acquire(t.Context(), js, "L", "k", []byte("child"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("acquired")
	err = l.Keep(t.Context(), 200*time.Millisecond)
	fmt.Printf("keep lost=%t valid=%t\n", errors.Is(err, ErrLost), l.Valid())
}

// A process that slept through its lease must not overwrite its successor.
func TestLeasePausedProcess(t *testing.T) {
	s := startServer(t)
	nc := connect(t, Options{Server: s})
	js, kv := bucket(t, nc, "L")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPausedChild$")
	cmd.Env = append(os.Environ(), pausedEnv+"="+s.ClientURL())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	next := func(prefix string) string {
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), prefix) {
				return lines.Text()
			}
		}
		t.Fatalf("the child did not say %q", prefix)
		return ""
	}
	next("acquired")
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var mine *Lease
	eventually(t, "take over", func() bool {
		mine, err = Acquire(t.Context(), js, "L", "k", []byte("parent"), 10*time.Second)
		return err == nil
	})
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := next("keep"); got != "keep lost=true valid=false" {
		t.Errorf("child: %s", got)
	}
	_ = cmd.Wait()
	if e, err := kv.Get(t.Context(), "k"); err != nil || string(e.Value()) != "parent" || e.Revision() != mine.Revision() {
		t.Errorf("key: %v, %v", e, err)
	}
}
