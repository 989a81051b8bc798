package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Settings of the server that the story depends on.
const (
	accessTTL = 6 * time.Second
	rotation  = time.Second  // W
	margin    = rotation / 5 // M, which is W/5 for so short a W
)

const (
	program  = "example.com/accounts/server/cmd/accountsd"
	username = "ada"
	password = "correct horse battery staple"
)

// demoServer is the real program with a database of its own.
type demoServer struct {
	url     string
	dir     string
	command *exec.Cmd
	log     bytes.Buffer
}

func startServer(ctx context.Context) (*demoServer, error) {
	dir, err := os.MkdirTemp("", "accounts-demo-")
	if err != nil {
		return nil, err
	}
	s := &demoServer{dir: dir}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *demoServer) start(ctx context.Context) error {
	addr, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	s.url = "http://" + addr
	binary := filepath.Join(s.dir, "accountsd")
	if err := runCommand(ctx, append(os.Environ(), "CGO_ENABLED=0"), "", "go", "build", "-o", binary, program); err != nil {
		return err
	}
	env := append(cleanEnvironment(),
		"ACCOUNTS_ADDR="+addr, "ACCOUNTS_DATA_DIR="+filepath.Join(s.dir, "data"),
		"ACCOUNTS_ROTATION_INTERVAL="+rotation.String(), "ACCOUNTS_ACCESS_TTL="+accessTTL.String(),
	)
	err = runCommand(ctx, env, password+"\n", binary, "user", "create", "--username", username, "--email", "ada@example.com",
		"--first-name", "Ada", "--last-name", "Lovelace", "--password-stdin")
	if err != nil {
		return err
	}
	return s.serve(binary, env)
}

// serve starts the program and waits until it listens, which its first line reports.
func (s *demoServer) serve(binary string, env []string) error {
	s.command = exec.Command(binary, "serve") // stopped by stop, in order
	s.command.Env, s.command.Stderr = env, &s.log
	stdout, err := s.command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.command.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(stdout)
	if _, err := lines.ReadString('\n'); err != nil {
		return errors.Join(fmt.Errorf("the server did not start: %w", err), s.command.Wait(), errors.New(s.log.String()))
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	return nil
}

// stop shuts the server down like an operator. Errors: an exit status other than 0.
func (s *demoServer) stop() error {
	err := s.command.Process.Signal(syscall.SIGTERM)
	if err == nil {
		err = s.command.Wait()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// freeAddress returns a free port of localhost. It uses the name, because a browser treats
// localhost and 127.0.0.1 as two sites.
func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "localhost:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return net.JoinHostPort("localhost", port), errors.Join(err, l.Close())
}

// cleanEnvironment returns the environment of this process without server settings.
func cleanEnvironment() []string {
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "ACCOUNTS_") {
			env = append(env, variable)
		}
	}
	return env
}

func runCommand(ctx context.Context, env []string, stdin, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Env, c.Stdin = env, strings.NewReader(stdin)
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), args[0], err, text)
	}
	return nil
}
