// Package harness builds, starts and stops servers for the tools in scripts: the program accountsd
// as a process of its own, with its own settings.
package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	program   = "example.com/accounts/server/cmd/accountsd"
	startTime = 30 * time.Second
	pollEvery = 2 * time.Millisecond
)

// Build builds accountsd in a folder and returns the path of the program. It must run in the module.
func Build(ctx context.Context, dir string) (string, error) { return BuildTree(ctx, ".", dir) }

// BuildTree builds accountsd of another work tree of the module. The flags are those of the
// environment, which are the ones that built the calling tool.
func BuildTree(ctx context.Context, tree, dir string) (string, error) {
	binary := filepath.Join(dir, "accountsd")
	_, _ = fmt.Fprintln(os.Stderr, "building accountsd (the first build takes a minute or two) …")
	return binary, Run(ctx, os.Environ(), "", "go", "build", "-C", tree, "-o", binary, program)
}

// Environment returns the environment of this process without settings of a server, followed by the
// given settings.
func Environment(settings ...string) []string {
	inherited := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ACCOUNTS_") })
	return append(inherited, settings...)
}

// FreeAddress returns a host with a port on which no program listens.
func FreeAddress(ctx context.Context, host string) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return net.JoinHostPort(host, port), errors.Join(err, l.Close())
}

// Run runs a program to its end. The error contains its output.
func Run(ctx context.Context, env []string, stdin, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Env, c.Stdin = env, strings.NewReader(stdin)
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args[:min(1, len(args))], ""), err, text)
	}
	return nil
}

// CreateUser adds a user by the command line. more are further flags.
func CreateUser(ctx context.Context, binary string, env []string, username, password string, more ...string) error {
	args := append([]string{"user", "create", "--username", username, "--email", username + "@example.com", "--password-stdin"}, more...)
	return Run(ctx, env, password+"\n", binary, args...)
}

// Program is a server that [Start] starts.
type Program struct {
	Path string
	Args []string
	Env  []string
	Addr string    // where it listens; its readiness is checked there
	Log  io.Writer // of its standard error, or nil
}

// Process is a running server.
type Process struct {
	Addr       string
	StartedAt  time.Time
	ReadyAfter time.Duration // from the start until it was ready

	command *exec.Cmd
	ended   chan struct{}
	failure error // of the process, once ended is closed
}

// Start starts a server and waits until it is ready.
func Start(ctx context.Context, o Program) (*Process, error) {
	p := &Process{Addr: o.Addr, StartedAt: time.Now(), command: exec.Command(o.Path, o.Args...), ended: make(chan struct{})} //nolint:noctx // ended by Stop
	p.command.Env, p.command.Stderr = o.Env, o.Log
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		p.failure = p.command.Wait()
	}()
	for time.Since(p.StartedAt) < startTime {
		if IsReady(ctx, http.DefaultClient, o.Addr) {
			p.ReadyAfter = time.Since(p.StartedAt)
			return p, nil
		}
		select {
		case <-p.ended:
			return nil, fmt.Errorf("%s exited: %w", filepath.Base(o.Path), p.failure)
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), p.Stop())
		case <-time.After(pollEvery):
		}
	}
	return nil, errors.Join(fmt.Errorf("%s did not become ready", filepath.Base(o.Path)), p.Stop())
}

// IsReady reports whether the server at an address answers GET /readyz with 200.
func IsReady(ctx context.Context, client *http.Client, addr string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// Stop shuts the server down as an operator does, and waits. Errors: an exit status other than 0,
// or the server has ended before.
func (p *Process) Stop() error {
	select {
	case <-p.ended:
		return fmt.Errorf("the server exited early: %w", p.failure)
	default:
	}
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-p.ended
	return p.failure
}

// PID returns the process id.
func (p *Process) PID() PID { return PID(p.command.Process.Pid) }
