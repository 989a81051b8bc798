package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.com/accounts/server/token/tokentest"
)

// storms is a running server with its files.
type storms struct {
	url     string
	slots   int // concurrent password hashes
	command *exec.Cmd
	dir     string
	log     *os.File
	http    *http.Client
	sink    *sink
}

const (
	regularUsers = 20
	password     = "correct horse battery staple"
	startTime    = 30 * time.Second
)

func userName(i int) string { return fmt.Sprintf("user%d", i) }

// start builds the server, creates its users and starts it.
func start(ctx context.Context, database string) (*storms, error) {
	dir, err := os.MkdirTemp("", "accounts-storm-")
	if err != nil {
		return nil, err
	}
	s := &storms{dir: dir, slots: max(1, runtime.GOMAXPROCS(0)-1), http: newClient()}
	if s.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		return nil, err
	}
	if s.sink, err = newSink(ctx); err != nil {
		return nil, err
	}
	binary := filepath.Join(dir, "accountsd")
	if err := command(ctx, os.Environ(), "", "go", "build", "-o", binary, "./server/cmd/accountsd"); err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return nil, err
	}
	s.url = "http://" + addr
	env := s.environment(addr, database)
	if err := command(ctx, env, "", binary, "migrate", "up"); err != nil {
		return nil, err
	}
	for i := range 2 * regularUsers {
		name := userName(i)
		if err := command(ctx, env, password+"\n", binary, "user", "create", "--username", name, "--email", name+"@example.com", "--password-stdin"); err != nil {
			return nil, err
		}
	}
	s.command = exec.Command(binary, "serve")
	s.command.Env, s.command.Stderr = env, s.log
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	return s, s.ready(ctx)
}

func (s *storms) environment(addr, database string) []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ACCOUNTS_") })
	env = append(env, "ACCOUNTS_ADDR="+addr, "ACCOUNTS_PUBLIC_URL="+s.url, "ACCOUNTS_DATA_DIR="+s.dir, "ACCOUNTS_LOG_LEVEL=error",
		"ACCOUNTS_ROTATION_INTERVAL=2s", "ACCOUNTS_ACCESS_TTL=5m",
		"ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=0", "ACCOUNTS_LOGIN_FAILURES_PER_CLIENT=0",
		"ACCOUNTS_PASSWORDS_PER_CLIENT=0", "ACCOUNTS_PASSWORDS_PER_USER=0", "ACCOUNTS_TRUSTED_PROXIES=127.0.0.1")
	env = append(env, s.sink.environment()...)
	if database != "" {
		env = append(env, "ACCOUNTS_DATABASE_URL="+database, "ACCOUNTS_SECRET_KEYS="+tokentest.Secret("storm"))
	}
	return env
}

func (s *storms) ready(ctx context.Context) error {
	for end := time.Now().Add(startTime); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		if a := send(ctx, s.http, http.MethodGet, s.url+"/readyz", nil, ""); a.status == http.StatusOK {
			return nil
		}
	}
	return errors.Join(errors.New("the server is not ready"), ctx.Err(), s.stop())
}

// stop stops the server. Errors: the server is no longer running.
func (s *storms) stop() error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("the server has died: %w", err)
	}
	err := s.command.Wait()
	return errors.Join(err, s.sink.server.Close(), s.log.Close(), os.RemoveAll(s.dir))
}

// memory returns a value of /proc/PID/status in bytes: VmRSS is the current memory, VmHWM its
// maximum so far.
func (s *storms) memory(line string) int64 {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", s.command.Process.Pid))
	if err != nil {
		return 0
	}
	defer func() { _ = file.Close() }()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(lines.Text(), line+": %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

func command(ctx context.Context, env []string, stdin, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Env, c.Stdin = env, strings.NewReader(stdin)
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), args[0], err, text)
	}
	return nil
}
