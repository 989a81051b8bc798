package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"example.com/accounts/scripts/harness"
)

// Settings of the server that the story depends on.
const (
	accessTTL = 6 * time.Second
	rotation  = time.Second  // W
	margin    = rotation / 5 // M, which is W/5 for so short a W
)

const (
	username = "ada"
	password = "correct horse battery staple"
)

// demoServer is the real program with a database of its own.
type demoServer struct {
	url     string
	dir     string
	process *harness.Process
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
	addr, err := harness.FreeAddress(ctx, "localhost") // a browser treats localhost and 127.0.0.1 as two sites
	if err != nil {
		return err
	}
	s.url = "http://" + addr
	binary, err := harness.Build(ctx, s.dir)
	if err != nil {
		return err
	}
	env := harness.Environment(
		"ACCOUNTS_ADDR="+addr, "ACCOUNTS_DATA_DIR="+filepath.Join(s.dir, "data"),
		"ACCOUNTS_ROTATION_INTERVAL="+rotation.String(), "ACCOUNTS_ACCESS_TTL="+accessTTL.String(),
	)
	if err := harness.CreateUser(ctx, binary, env, username, password, "--first-name", "Ada", "--last-name", "Lovelace"); err != nil {
		return err
	}
	s.process, err = harness.Start(ctx, harness.Program{Path: binary, Args: []string{"serve"}, Env: env, Addr: addr, Log: &s.log})
	if err != nil {
		return errors.Join(err, errors.New(s.log.String()))
	}
	return nil
}

// stop shuts the server down like an operator. Errors: an exit status other than 0.
func (s *demoServer) stop() error { return errors.Join(s.process.Stop(), os.RemoveAll(s.dir)) }
