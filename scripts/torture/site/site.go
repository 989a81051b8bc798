// Package site runs replicas of the accounts server as separate processes with a database of their
// own. It subjects them to the faults of real servers: they are killed, stopped, cut off, restarted
// with new secrets, and have differing clocks.
package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/accounts/scripts/harness"
	"example.com/accounts/server"
	"example.com/accounts/server/accounts"
	"example.com/accounts/server/config"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/servertest/mysqlproxy"
	"example.com/accounts/server/token"
)

// Options are the options of a site.
type Options struct {
	Engine   string // sqlite, mariadb, mysql or galera
	URLs     []string
	Replicas int
	Settings []string // added to those of New; of two values, Config has the first and a replica the last
}

// Site is a set of replicas with their database.
type Site struct {
	Dir      string
	URL      string // public URL, the same for every replica
	Config   config.Config
	Database *Database
	Replicas []*Replica
	Operator *accounts.Service // bypasses every replica and proxy
	Sweeper  *accounts.Service // a service whose clock is 30 days ahead, which deletes ended sessions
	Kills    atomic.Int64      // killed replicas
	DBKills  atomic.Int64

	operators []io.Closer
	signing   sync.Mutex
	secrets   []string
	retired   map[string]time.Time // when each secret stopped signing
}

// Replica is a server process.
type Replica struct {
	Number int
	Addr   string
	Proxy  *mysqlproxy.Proxy // nil on SQLite
	Offset time.Duration     // of its clock, apart from faults

	site    *Site
	env     []string
	mu      sync.Mutex
	command *exec.Cmd
	stdin   io.WriteCloser
	ended   <-chan struct{}
}

// New starts a site.
func New(ctx context.Context, o Options) (*Site, error) {
	dir, err := os.MkdirTemp("", "accounts-torture-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the database server runs as another user
		return nil, err
	}
	secret, err := token.NewSecret()
	if err != nil {
		return nil, err
	}
	s := &Site{Dir: dir, secrets: []string{secret}, retired: map[string]time.Time{}}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Site) start(ctx context.Context, o Options) (err error) {
	if s.Database, err = openDatabase(ctx, o.Engine, s.Dir, o.URLs); err != nil {
		return err
	}
	for n := range o.Replicas {
		addr, err := harness.FreeAddress(ctx, "127.0.0.1")
		if err != nil {
			return err
		}
		s.Replicas = append(s.Replicas, &Replica{Number: n, Addr: addr, site: s})
	}
	s.URL = "http://" + strings.Replace(s.Replicas[0].Addr, "127.0.0.1", "localhost", 1)
	settings := append(slices.Clone(o.Settings),
		"ACCOUNTS_PUBLIC_URL="+s.URL, "ACCOUNTS_DATA_DIR="+s.Dir, "ACCOUNTS_MAIL=files", "ACCOUNTS_DB_MAX_CONNS=16", "ACCOUNTS_LOG_LEVEL=debug")
	settings = append(settings, servertest.Unlimited...)
	direct := append(slices.Clone(settings), "ACCOUNTS_DATABASE_URL="+s.Database.urls[0], "ACCOUNTS_SECRET_KEYS="+s.secrets[0])
	if s.Config, _, err = config.Load(direct); err != nil {
		return err
	}
	if s.Operator, err = s.operator(ctx, time.Now); err != nil {
		return err
	}
	month := func() time.Time { return time.Now().Add(30*24*time.Hour - time.Minute) }
	if s.Sweeper, err = s.operator(ctx, month); err != nil {
		return err
	}
	for i, r := range s.Replicas {
		at := s.Database.urls[i%len(s.Database.urls)]
		if o.Engine != "sqlite" {
			if r.Proxy, at, err = mysqlproxy.New(at, false); err != nil {
				return err
			}
		}
		r.env = append(slices.Clone(settings), "ACCOUNTS_ADDR="+r.Addr, "ACCOUNTS_DATABASE_URL="+at, isReplica+"=1", "TMPDIR="+s.Dir)
		if err := r.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *Site) operator(ctx context.Context, now func() time.Time) (*accounts.Service, error) {
	store, service, err := open(ctx, s.Config, server.NewLog(io.Discard, s.Config.Level()), now)
	if err != nil {
		return nil, err
	}
	s.operators = append(s.operators, store)
	_, err = store.Migrate(ctx)
	return service, err
}

// Close stops all processes and deletes the files.
func (s *Site) Close() error {
	var errs []error
	for _, r := range s.Replicas {
		r.Kill()
	}
	for _, store := range s.operators {
		errs = append(errs, store.Close())
	}
	if s.Database != nil {
		errs = append(errs, s.Database.close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.Dir), os.RemoveAll(memoryOf(s.Dir)))...)
}

// LogFile returns the path of a replica's log.
func (r *Replica) LogFile() string {
	return filepath.Join(r.site.Dir, fmt.Sprintf("replica%d.log", r.Number))
}

const startTime = 30 * time.Second

// Start starts the process and returns when it is ready. If the process exits immediately because
// the database is down, Start repeats the start like a supervisor.
func (r *Replica) Start(ctx context.Context) error {
	for end := time.Now().Add(startTime); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		ended, err := r.launch()
		if err != nil {
			return err
		}
		if r.waitReady(ctx, ended, end) {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("replica %d is not ready; its log is %s", r.Number, r.LogFile()), ctx.Err())
}

func (r *Replica) launch() (<-chan struct{}, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(r.LogFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	c := exec.Command(self) //nolint:noctx // ended by Kill, by Terminate, or by the end of its standard input
	c.Env, c.Stdout, c.Stderr = append(slices.Clone(r.env), "ACCOUNTS_SECRET_KEYS="+strings.Join(r.site.activeSecrets(), ",")), log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C does not reach it
	stdin, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.Wait() // most are killed, so the error means nothing
	}()
	r.mu.Lock()
	r.command, r.stdin, r.ended = c, stdin, ended
	r.mu.Unlock()
	r.Clock(0)
	return ended, nil
}

func (r *Replica) waitReady(ctx context.Context, ended <-chan struct{}, end time.Time) bool {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for ; time.Now().Before(end) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		select {
		case <-ended:
			return false
		default:
		}
		if harness.IsReady(ctx, client, r.Addr) {
			return true
		}
	}
	return false
}

// Clock adds an error to the replica's clock, in addition to Offset.
func (r *Replica) Clock(by time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.stdin, "offset %d\n", r.Offset+by) // the process may have been killed
}

// Signal sends a signal.
func (r *Replica) Signal(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.command != nil {
		_ = r.command.Process.Signal(s) // the process may have ended
	}
}

// Kill kills the replica with SIGKILL.
func (r *Replica) Kill() { r.end(syscall.SIGKILL) }

// Terminate stops the replica with SIGTERM.
func (r *Replica) Terminate() { r.end(syscall.SIGTERM) }

func (r *Replica) end(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.command == nil {
		return
	}
	_ = r.command.Process.Signal(s)
	<-r.ended
	r.command = nil
}

// Nodes returns the number of nodes of the database that can be killed separately; 0 if it is not a
// cluster.
func (s *Site) Nodes() int { return len(s.Database.dirs) }

// KillNode kills a node of the cluster, waits, and starts it again.
func (s *Site) KillNode(n int, down time.Duration) error {
	s.DBKills.Add(1)
	return s.Database.killNode(n, down)
}

// StopNode suspends a node for d.
func (s *Site) StopNode(n int, d time.Duration) error {
	pid := filepath.Join(s.Database.dirs[n], "pid")
	if err := signalOf(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	time.Sleep(d)
	return signalOf(pid, syscall.SIGCONT)
}

// KillDatabase kills the database server, waits, and starts it again with its data.
func (s *Site) KillDatabase(down time.Duration) error {
	if err := s.Database.own.kill(); err != nil {
		return err
	}
	s.DBKills.Add(1)
	time.Sleep(down)
	_, err := s.Database.own.start()
	return err
}

// StopDatabase suspends the database server for d.
func (s *Site) StopDatabase(d time.Duration) error {
	if err := s.Database.own.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	time.Sleep(d)
	return s.Database.own.signal(syscall.SIGCONT)
}

// CanKillDatabase reports whether the database server may be killed.
func (s *Site) CanKillDatabase() bool { return s.Database.own != nil }

// Signer returns the secret that signs.
func (s *Site) Signer() string { return s.activeSecrets()[0] }

func (s *Site) activeSecrets() []string {
	s.signing.Lock()
	defer s.signing.Unlock()
	return s.secrets
}

func (s *Site) setSecrets(list []string) {
	s.signing.Lock()
	defer s.signing.Unlock()
	s.secrets = list
}

// RotateSecrets adds a new secret by a rolling restart, and lets it sign by a second one, as the
// guide to operations describes. It drops the old secrets whose tokens have all expired.
func (s *Site) RotateSecrets(ctx context.Context) error {
	fresh, err := token.NewSecret()
	if err != nil {
		return err
	}
	before := s.activeSecrets()
	s.setSecrets(append(slices.Clone(before), fresh))
	if err := s.Roll(ctx); err != nil {
		return err
	}
	kept := []string{fresh}
	for _, secret := range before {
		if since, known := s.retired[secret]; !known || time.Since(since) < s.Config.SessionMaxAge+10*time.Second {
			kept = append(kept, secret)
		}
	}
	s.setSecrets(kept)
	err = s.Roll(ctx)
	s.retired[before[0]] = time.Now()
	return err
}

// Roll restarts the replicas one after the other, with a clean shutdown.
func (s *Site) Roll(ctx context.Context) error {
	for _, r := range s.Replicas {
		r.Terminate()
		if err := r.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}
