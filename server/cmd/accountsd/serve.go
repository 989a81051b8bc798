package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof" // it also registers in http.DefaultServeMux, which no listener serves
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"example.com/accounts/server"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/config"
	"example.com/accounts/server/mail"
)

const (
	cleanUpEvery = 10 * time.Minute
	// gcPercent is half of Go's default. Each hash leaves 19 MiB of garbage, and with the default
	// the heap would grow to twice the memory that a storm of logins needs before a collection.
	gcPercent = 50
	// spareHeap is memory that is reserved and never used, so it needs no RAM. It counts as live, so
	// that a small server collects its garbage about four times less often.
	spareHeap = 24 << 20
)

func (p process) serve() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return p.runServer(c.Context()) },
	}
}

// runServer opens everything else before it listens, so that errors are reported before a client
// can connect.
func (p process) runServer(ctx context.Context) (err error) {
	defer runtime.KeepAlive(tuneMemory())
	log := server.NewLogBuffer(p.err)
	defer func() { err = errors.Join(err, log.Flush()) }()
	p.err = log
	metrics := server.NewMetrics(version)
	a, err := p.open(ctx, metrics.Count)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if slots, usesAll := hashSlots(); usesAll {
		// A hash occupies a thread for tens of milliseconds. With as many more threads as there are hash
		// slots, the kernel divides the cores between hashes and other requests. Otherwise, a storm of
		// logins would let all other requests wait for the end of a hash.
		runtime.GOMAXPROCS(2 * slots)
	}
	metrics.Watch(a.service)
	s, err := server.New(server.Options{Config: a.cfg, Service: a.service, Metrics: metrics, Log: a.log, Now: time.Now})
	if err != nil {
		return err
	}
	sender, err := mailSender(a.cfg, a.log)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Addr)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	stopMetrics, err := a.serveMetrics(ctx, metrics)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer stopMetrics()
	working, stop := context.WithCancel(ctx)
	workers := a.startWorkers(working, sender)
	p.banner(ctx, a)
	workers.Go(debug.FreeOSMemory) // what only the start has needed
	err = s.Serve(ctx, listener)
	stop()
	workers.Wait()
	a.writeLastEvents()
	return err
}

// tuneMemory sets how often garbage is collected, unless the operator does so with GOGC or
// GOMEMLIMIT. The caller must keep the returned memory alive.
func tuneMemory() []byte {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	debug.SetGCPercent(gcPercent)
	return make([]byte, spareHeap)
}

// mailSender returns the configured sender: SMTP, or files for the operator of this machine.
func mailSender(cfg config.Config, log *slog.Logger) (mail.Sender, error) {
	if cfg.Mail == config.MailFiles {
		return mail.NewFiles(filepath.Join(cfg.DataDir, "mail"), cfg.MailFrom, log)
	}
	return mail.NewSMTP(string(cfg.SMTPURL), cfg.MailFrom)
}

// startWorkers starts the background work, which ends when ctx does. A mail that is being sent is
// completed.
func (a *app) startWorkers(ctx context.Context, sender mail.Sender) *sync.WaitGroup {
	var workers sync.WaitGroup
	workers.Go(func() { a.cleanUp(ctx) })
	workers.Go(func() { a.service.RunHeartbeat(ctx) })
	workers.Go(func() {
		a.service.WriteEvents(ctx, func(err error) {
			a.log.Warn("cannot write security events yet; the server will retry", "error", err.Error())
		})
	})
	workers.Go(func() {
		a.service.SendMails(ctx, sender, server.LogMailFault(a.log))
		if idle, ok := sender.(io.Closer); ok {
			_ = idle.Close() // every mail is sent or still queued in the database
		}
	})
	return &workers
}

const lastEventsTime = 5 * time.Second

// writeLastEvents writes the events of requests that were answered during the shutdown.
func (a *app) writeLastEvents() {
	ctx, cancel := context.WithTimeout(context.Background(), lastEventsTime)
	defer cancel()
	if err := a.service.FlushEvents(ctx); err != nil {
		a.log.Error("cannot write the last security events", "error", err.Error())
	}
}

// banner tells a new operator where to continue.
func (p process) banner(ctx context.Context, a *app) {
	_, _ = fmt.Fprintf(p.out, "accounts %s at %s, database %s\n", version, a.cfg.PublicURL, a.cfg.Database)
	if a.cfg.IsLoopback() {
		_, _ = fmt.Fprintf(p.out, "  try it:            %s/demo/\n", a.cfg.PublicURL)
	}
	if a.cfg.Docs {
		_, _ = fmt.Fprintf(p.out, "  documentation:     %s/docs/\n", a.cfg.PublicURL)
	}
	if a.cfg.Console {
		_, _ = fmt.Fprintf(p.out, "  for staff:         %s/console/\n", a.cfg.PublicURL)
	}
	if a.cfg.Mail == config.MailFiles {
		_, _ = fmt.Fprintf(p.out, "  mails written to:  %s\n", filepath.Join(a.cfg.DataDir, "mail"))
	}
	if a.hasUsers(ctx) {
		return
	}
	_, _ = fmt.Fprintf(p.out, "  create a user:     bin/accountsd user create --username ada --email ada@example.com\n")
}

func (a *app) hasUsers(ctx context.Context) bool {
	users, _, err := a.service.ListUsers(ctx, accounts.UserFilter{Limit: 1})
	return len(users) > 0 || err != nil // found one, or cannot tell
}

// serveMetrics serves the metrics on a port of their own. The caller stops it with the function
// that it returns.
func (a *app) serveMetrics(ctx context.Context, m *server.Metrics) (func(), error) {
	if a.cfg.MetricsAddr == "" {
		return func() {}, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.MetricsAddr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	if a.cfg.Profiling {
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.Handle("GET /debug/pprof/heap", pprof.Handler("heap"))
		mux.Handle("GET /debug/pprof/allocs", pprof.Handler("allocs"))
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := srv.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("the metrics listener stopped", "error", err.Error())
		}
	})
	return func() { _ = srv.Close(); serving.Wait() }, nil
}

// cleanUp removes ended sessions periodically. Every replica may do so at the same time.
func (a *app) cleanUp(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(cleanUpEvery):
		}
		n, err := a.service.CleanUp(ctx)
		if err != nil && ctx.Err() == nil {
			a.log.Warn("cleanup failed and will be retried", "error", err.Error())
		}
		a.log.Debug("cleanup finished", "rows", n)
	}
}
