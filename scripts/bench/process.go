package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running server.
type process struct {
	addr    string
	command *exec.Cmd
}

// startProcess starts a server and waits until it is ready. It returns the time that this took.
func startProcess(ctx context.Context, log *os.File, addr string, env []string, name string, args ...string) (*process, time.Duration, error) {
	p := &process{addr: addr, command: exec.Command(name, args...)} // ended by stop
	p.command.Env, p.command.Stderr = env, log
	began := time.Now()
	if err := p.command.Start(); err != nil {
		return nil, 0, err
	}
	for deadline := began.Add(20 * time.Second); ; {
		if p.answers(ctx) {
			return p, time.Since(began), nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return nil, 0, errors.Join(fmt.Errorf("%s is not ready", filepath.Base(name)), ctx.Err(), p.stop())
		}
		time.Sleep(time.Millisecond)
	}
}

func (p *process) answers(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

func (p *process) stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.command.Wait()
}

// pid returns the process id.
func (p *process) pid() pid { return pid(p.command.Process.Pid) }

type pid int

// clockTick is the unit of CPU times in /proc: USER_HZ, 100 on every Linux that Go supports.
const clockTick = 10 * time.Millisecond

// cpu returns the CPU time used so far, in user mode and in the kernel (proc_pid_stat(5), fields 14
// and 15).
func (p pid) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])) // the name may contain spaces
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}

// rss returns the resident memory in bytes.
func (p pid) rss() int64 {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", p))
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(lines.Text(), "VmRSS: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func runCommand(ctx context.Context, env []string, stdin, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Env, c.Stdin = env, strings.NewReader(stdin)
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), args[0], err, text)
	}
	return nil
}
