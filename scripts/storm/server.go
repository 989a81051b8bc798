package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"

	"example.com/accounts/scripts/harness"
	"example.com/accounts/server/token/tokentest"
)

// storms is a running server with its files.
type storms struct {
	url     string
	slots   int // concurrent password hashes
	process *harness.Process
	dir     string
	log     *os.File
	http    *http.Client
	sink    *sink
}

const (
	regularUsers = 20
	password     = "correct horse battery staple"
)

func userName(i int) string { return fmt.Sprintf("user%d", i) }

// start builds the server, creates its users and starts it.
func start(ctx context.Context, database string) (_ *storms, err error) {
	s := &storms{slots: runtime.GOMAXPROCS(0), http: newClient()}
	if s.dir, err = os.MkdirTemp("", "accounts-storm-"); err != nil {
		return nil, err
	}
	if s.log, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		return nil, err
	}
	if s.sink, err = newSink(ctx); err != nil {
		return nil, err
	}
	binary, err := harness.Build(ctx, s.dir)
	if err != nil {
		return nil, err
	}
	addr, err := harness.FreeAddress(ctx, "127.0.0.1")
	if err != nil {
		return nil, err
	}
	s.url = "http://" + addr
	env := s.environment(addr, database)
	if err := harness.Run(ctx, env, "", binary, "migrate", "up"); err != nil {
		return nil, err
	}
	for i := range 2 * regularUsers {
		if err := harness.CreateUser(ctx, binary, env, userName(i), password); err != nil {
			return nil, err
		}
	}
	s.process, err = harness.Start(ctx, harness.Program{Path: binary, Args: []string{"serve"}, Env: env, Addr: addr, Log: s.log})
	return s, err
}

func (s *storms) environment(addr, database string) []string {
	env := harness.Environment(
		"ACCOUNTS_ADDR="+addr, "ACCOUNTS_PUBLIC_URL="+s.url, "ACCOUNTS_DATA_DIR="+s.dir, "ACCOUNTS_LOG_LEVEL=error",
		"ACCOUNTS_ROTATION_INTERVAL=2s", "ACCOUNTS_ACCESS_TTL=5m", "ACCOUNTS_TRUSTED_PROXIES=127.0.0.1",
		// The limits of mails stay on: the last part is about them.
		"ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=0", "ACCOUNTS_LOGIN_FAILURES_PER_CLIENT=0",
		"ACCOUNTS_PASSWORDS_PER_CLIENT=0", "ACCOUNTS_PASSWORDS_PER_USER=0")
	env = append(env, s.sink.environment()...)
	if database != "" {
		env = append(env, "ACCOUNTS_DATABASE_URL="+database, "ACCOUNTS_SECRET_KEYS="+tokentest.Secret("storm"))
	}
	return env
}

// stop stops the server. Errors: the server is no longer running.
func (s *storms) stop() error {
	return errors.Join(s.process.Stop(), s.sink.server.Close(), s.log.Close(), os.RemoveAll(s.dir))
}
