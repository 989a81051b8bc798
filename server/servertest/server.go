package servertest

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/accounts/models"
	"example.com/accounts/server"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/config"
	"example.com/accounts/server/credentials"
	"example.com/accounts/server/mail"
	"example.com/accounts/server/token"
	"example.com/accounts/server/token/tokentest"
)

// Options configure a test server. The zero value is a server on SQLite with every setting at its
// default.
type Options struct {
	Engine   Engine    // SQLite if empty
	Database *Database // to share a database with another server, as a second replica
	Settings []string  // "ACCOUNTS_ROTATION_INTERVAL=2s" …
	Now      func() time.Time
	Hasher   *credentials.Hasher
	Mail     mail.Sender // Server.Mails if nil
	HoldMail bool        // no mail worker runs, so that the mails stay in the outbox as the requests queued them
}

// Server is a running replica.
type Server struct {
	*server.Server
	URL      string
	Service  *accounts.Service
	Store    *models.Store
	Config   config.Config
	Database *Database
	Clock    *Clock
	Log      *Log
	Mails    *Mails
	t        testing.TB

	StopMails func() // stops the mail worker, as SIGTERM does, and waits until it has stopped
}

// SecretKey is the secret of every test server, so that tests can forge tokens (see tokentest).
var SecretKey = tokentest.Secret("servertest")

// FastHash is far weaker than the parameters in production, so that a test can log in a hundred
// times.
var FastHash = credentials.Params{Memory: 64, Time: 1, Threads: 1}

// Unlimited contains the settings that switch every rate limit off.
var Unlimited = []string{
	"ACCOUNTS_MAILS_PER_RECIPIENT=0", "ACCOUNTS_MAILS_PER_STAFF=0",
	"ACCOUNTS_LOGIN_FAILURES_PER_ACCOUNT=0", "ACCOUNTS_LOGIN_FAILURES_PER_CLIENT=0",
	"ACCOUNTS_PASSWORDS_PER_CLIENT=0", "ACCOUNTS_PASSWORDS_PER_USER=0",
	"ACCOUNTS_REGISTRATIONS_PER_CLIENT=0", "ACCOUNTS_CONFIRMATIONS_PER_CLIENT=0", "ACCOUNTS_RARE_ACTIONS_PER_USER=0",
}

// Start starts a server that stops when the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Engine == "" {
		o.Engine = SQLite
	}
	if o.Database == nil {
		o.Database = NewDatabase(t, o.Engine)
	}
	s := &Server{Database: o.Database, Clock: &Clock{base: o.Now}, Log: &Log{}, Mails: &Mails{}, t: t}
	front := httptest.NewUnstartedServer(nil)
	public := "http://" + strings.Replace(front.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	settings := append(slices.Clone(o.Settings), // of two equal names, the first counts
		"ACCOUNTS_PUBLIC_URL="+public, "ACCOUNTS_DATABASE_URL="+o.Database.NextURL(), "ACCOUNTS_DATA_DIR="+t.TempDir(),
		"ACCOUNTS_SECRET_KEYS="+SecretKey, "ACCOUNTS_AUTO_MIGRATE=true", "ACCOUNTS_MAIL=files")
	settings = append(settings, Unlimited...)
	var err error
	s.Config, _, err = config.Load(settings)
	must(t, err)
	s.URL = public
	s.open(t, o)
	handler, err := s.Handler()
	must(t, err)
	front.Config.Handler = handler
	front.Start()
	t.Cleanup(func() {
		front.Close()
		_ = s.Store.Close()
	})
	return s
}

func (s *Server) open(t testing.TB, o Options) {
	t.Helper()
	ctx, cfg := context.Background(), s.Config
	log := server.NewLog(s.Log, slog.LevelDebug)
	var err error
	s.Store, err = models.Open(ctx, server.StoreOptions(cfg, log))
	must(t, err)
	_, err = s.Store.Migrate(ctx)
	must(t, err)
	var secrets []token.Secret
	for _, text := range cfg.SecretKeys {
		secret, err := token.ParseSecret(string(text))
		must(t, err)
		secrets = append(secrets, secret)
	}
	ring, err := token.NewKeyRing(secrets)
	must(t, err)
	if o.Hasher == nil {
		o.Hasher = credentials.NewHasher(FastHash, 4, 1000, 10*time.Second)
	}
	var breached *credentials.Breached
	if cfg.BreachedPasswords != "" {
		breached, err = credentials.OpenBreached(cfg.BreachedPasswords)
		must(t, err)
		t.Cleanup(func() { _ = breached.Close() })
	}
	metrics := server.NewMetrics("test")
	s.Service = accounts.New(accounts.Options{
		Store: s.Store, Hasher: o.Hasher, Breached: breached, Ring: ring, PublicURL: cfg.PublicURL, Now: s.Clock.Now, Count: metrics.Count,
		Policy: server.Policy(cfg), Settings: server.Settings(cfg), Legacy: server.Legacy(cfg),
	})
	metrics.Watch(s.Service)
	runUntilTheEnd(t, s.Service.RunHeartbeat)
	if !o.HoldMail {
		s.sendMails(t, o.Mail, log)
	}
	s.Server, err = server.New(server.Options{Config: cfg, Service: s.Service, Metrics: metrics, Log: log, Now: s.Clock.Now})
	must(t, err)
}

// runUntilTheEnd runs a worker until the test ends.
func runUntilTheEnd(t testing.TB, worker func(context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { worker(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
}

// sendMails runs the mail worker until the test ends.
func (s *Server) sendMails(t testing.TB, sender mail.Sender, log *slog.Logger) {
	if sender == nil {
		sender = s.Mails
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Service.SendMails(ctx, sender, server.LogMailFault(log))
	}()
	s.StopMails = func() { stop(); <-done }
	t.Cleanup(s.StopMails)
}

// User is a user with the password for login.
type User struct {
	models.User
	Password string
}

// NewUser adds an active user with a verified address.
func (s *Server) NewUser() User {
	s.t.Helper()
	name := "user" + uuid.NewString()[:13]
	u, err := s.Service.CreateUser(context.Background(), accounts.NewUser{
		Username: name, Email: name + "@example.com", FirstName: "Ada", LastName: "Lovelace", Password: "correct horse battery",
	})
	must(s.t, err)
	return User{User: u, Password: "correct horse battery"}
}

// Clock is the server's clock: the real time plus an offset that the test sets. On MySQL, the
// offset must not exceed the limit of the clock guard, or every refresh fails with 503.
type Clock struct {
	base   func() time.Time
	offset atomic.Int64
	reads  atomic.Int64
}

// Now returns the time of this clock.
func (c *Clock) Now() time.Time {
	base := time.Now
	if c.base != nil {
		base = c.base
	}
	c.reads.Add(1)
	return base().Add(time.Duration(c.offset.Load()))
}

// Reads returns how often the time was read. The server reads it when a request arrives, so a test
// can wait for a request by this number.
func (c *Clock) Reads() int64 { return c.reads.Load() }

// Advance moves the clock forward.
func (c *Clock) Advance(by time.Duration) { c.offset.Add(int64(by)) }

// Log stores the log of the server.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Take returns the text that has been logged since the last Take.
func (l *Log) Take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}
