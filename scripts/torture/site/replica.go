package site

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/accounts/models"
	"example.com/accounts/server"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/config"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

// isReplica is the environment variable that turns a program into a replica.
const isReplica = "TORTURE_REPLICA"

// ServeIfReplica serves if another process has started this one as a replica, and returns false
// otherwise. A replica is the server of accountsd with an adjustable clock: the line "offset
// NANOSECONDS" on standard input sets the clock's offset. The end of standard input stops the
// replica, so that none outlives the process that started it.
func ServeIfReplica() bool {
	if os.Getenv(isReplica) == "" {
		return false
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "replica:", err)
		os.Exit(1)
	}
	return true
}

func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg, _, err := config.Load(os.Environ())
	if err != nil {
		return err
	}
	log := server.NewLog(os.Stderr, cfg.Level())
	var offset atomic.Int64
	go follow(os.Stdin, &offset)
	now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	store, service, err := open(ctx, cfg, log, now)
	if err != nil {
		return err
	}
	s, err := server.New(server.Options{Config: cfg, Service: service, Metrics: server.NewMetrics("test"), Log: log, Now: now})
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return err
	}
	go service.RunHeartbeat(ctx)
	go service.WriteEvents(ctx, func(err error) {
		log.Warn("cannot write security events yet; the server will retry", "error", err.Error())
	})
	return errors.Join(s.Serve(ctx, listener), store.Close())
}

func follow(commands io.Reader, offset *atomic.Int64) {
	lines := bufio.NewScanner(commands)
	for lines.Scan() {
		if by, err := strconv.ParseInt(strings.TrimPrefix(lines.Text(), "offset "), 10, 64); err == nil {
			offset.Store(by)
		}
	}
	os.Exit(1)
}

// open opens the store and the service. Password hashing is as cheap as possible, because logins
// are not under test.
func open(ctx context.Context, cfg config.Config, log *slog.Logger, now func() time.Time) (*models.Store, *accounts.Service, error) {
	store, err := models.Open(ctx, server.StoreOptions(cfg, log))
	if err != nil {
		return nil, nil, err
	}
	var secrets []token.Secret
	for _, text := range cfg.SecretKeys {
		secret, err := token.ParseSecret(string(text))
		if err != nil {
			return nil, nil, err
		}
		secrets = append(secrets, secret)
	}
	ring, err := token.NewKeyRing(secrets)
	if err != nil {
		return nil, nil, err
	}
	return store, accounts.New(accounts.Options{
		Store: store, Ring: ring, PublicURL: cfg.PublicURL, Now: now, Policy: server.Policy(cfg), Settings: server.Settings(cfg),
		Hasher: credentials.NewHasher(servertest.FastHash, 4, 1000, 2*time.Second),
	}), nil
}
