package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "github.com/glebarez/go-sqlite" // registers the driver "sqlite"
	"github.com/go-sql-driver/mysql"

	"example.com/accounts/scripts/harness"
	"example.com/accounts/server/servertest"
	"example.com/accounts/server/token"
)

const (
	password  = "correct horse battery staple"
	users     = 32               // users that log in continuously, and as many users that own the measured sessions
	tokenLife = 15 * time.Minute // the maximum: no token expires during the run
	maxConns  = 32               // the product's default
	starts    = 5                // the time to ready is the median of this many starts
)

// prepared is a throwaway database, the programs, and the two servers while they run.
type prepared struct {
	dir, binary, self string
	name              string
	url               string // of the database, in the format of the product's setting
	log               *os.File
	admin, db         *sql.DB
	secret            token.Secret
	bareKey           [32]byte

	productAddr, bareAddr string
	productEnv, bareEnv   []string
	product, bare         *harness.Process
	database              harness.PID // zero if it runs elsewhere
}

func prepare(ctx context.Context, s settings) (_ *prepared, err error) {
	p := &prepared{binary: s.binary}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.dir, err = os.MkdirTemp("", "accounts-bench-"); err != nil {
		return p, err
	}
	if p.log, err = os.OpenFile(s.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return p, err
	}
	if p.self, err = os.Executable(); err != nil {
		return p, err
	}
	if err := p.createDatabase(ctx, s.engine); err != nil {
		return p, err
	}
	if p.binary == "" {
		if p.binary, err = harness.Build(ctx, p.dir); err != nil {
			return p, err
		}
	}
	if err := p.configure(ctx); err != nil {
		return p, err
	}
	if err := harness.Run(ctx, p.productEnv, "", p.binary, "migrate", "up"); err != nil {
		return p, err
	}
	return p, p.createUsers(ctx)
}

// createDatabase creates a SQLite file, or a new database on the server of TEST_MYSQL_URL.
func (p *prepared) createDatabase(ctx context.Context, engine string) (err error) {
	if engine == sqlite {
		path := filepath.Join(p.dir, "accounts.db")
		p.url = "sqlite:" + path
		p.db, err = sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
		if err == nil {
			p.db.SetMaxOpenConns(1)
		}
		return err
	}
	base, err := databaseURL()
	if err != nil {
		return err
	}
	var suffix [6]byte
	_, _ = rand.Read(suffix[:]) // never fails; see its documentation
	p.name = "bench_" + hex.EncodeToString(suffix[:])
	if p.admin, err = sql.Open("mysql", dsn(base, strings.TrimPrefix(base.Path, "/"))); err != nil {
		return err
	}
	if _, err := p.admin.ExecContext(ctx, "CREATE DATABASE "+p.name); err != nil {
		return err
	}
	if p.db, err = sql.Open("mysql", dsn(base, p.name)); err != nil {
		return err
	}
	p.database = databasePID(ctx, p.db)
	_, err = p.db.ExecContext(ctx, bareTables)
	base.Path = "/" + p.name
	p.url = base.String()
	p.bareEnv = append(p.bareEnv, bareDatabase+"="+dsn(base, p.name))
	return err
}

func databasePID(ctx context.Context, db *sql.DB) harness.PID {
	var path string
	if db.QueryRowContext(ctx, "SELECT @@pid_file").Scan(&path) != nil {
		return 0
	}
	text, _ := os.ReadFile(path)
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return harness.PID(n)
}

func databaseURL() (*url.URL, error) {
	text := os.Getenv("TEST_MYSQL_URL")
	if text == "" {
		return nil, errors.New("TEST_MYSQL_URL is not set: run `make bench`, or `scripts/with-mysql.sh --durable -- scripts/run.sh bench`")
	}
	return url.Parse(text)
}

func dsn(u *url.URL, name string) string {
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName, c.ParseTime, c.Loc = u.User.Username(), "tcp", u.Host, name, true, time.UTC
	c.Passwd, _ = u.User.Password()
	c.Params = map[string]string{"time_zone": "'+00:00'"}
	return c.FormatDSN()
}

// configure sets up both servers. It selects the strict profile, in which every refresh is a
// rotation. Otherwise the server would answer most refreshes of a loop with the current tokens.
func (p *prepared) configure(ctx context.Context) (err error) {
	if p.productAddr, err = harness.FreeAddress(ctx, "127.0.0.1"); err != nil {
		return err
	}
	if p.bareAddr, err = harness.FreeAddress(ctx, "127.0.0.1"); err != nil {
		return err
	}
	text, err := token.NewSecret()
	if err != nil {
		return err
	}
	if p.secret, err = token.ParseSecret(text); err != nil {
		return err
	}
	_, _ = rand.Read(p.bareKey[:])
	p.productEnv = append(harness.Environment(servertest.Unlimited...),
		"ACCOUNTS_ADDR="+p.productAddr, "ACCOUNTS_PUBLIC_URL="+p.publicURL(), "ACCOUNTS_DATA_DIR="+p.dir,
		"ACCOUNTS_DATABASE_URL="+p.url, "ACCOUNTS_SECRET_KEYS="+text,
		"ACCOUNTS_ROTATION_INTERVAL=0", "ACCOUNTS_ACCESS_TTL="+tokenLife.String(),
	)
	p.bareEnv = append(harness.Environment(p.bareEnv...), bareKey+"="+hex.EncodeToString(p.bareKey[:]))
	return nil
}

func (p *prepared) publicURL() string { return "http://" + p.productAddr }

// createUsers creates one user with the command and copies its row for the others. All users have
// the same password hash, because hashing a password for each would take too long.
func (p *prepared) createUsers(ctx context.Context) error {
	err := harness.CreateUser(ctx, p.binary, p.productEnv, "first", password, "--first-name", "Ada", "--last-name", "Lovelace")
	if err != nil {
		return err
	}
	for _, kind := range []string{loginUser, sessionUser} {
		for i := range users {
			name := userName(kind, i)
			_, err := p.db.ExecContext(ctx, `INSERT INTO users (username, username_norm, email, email_norm, first_name, last_name, locale, password,
				is_active, is_staff, is_superuser, email_verified_at, session_epoch, version, lock_count, search, date_joined)
				SELECT ?, ?, ?, ?, first_name, last_name, locale, password, is_active, is_staff, is_superuser, email_verified_at, session_epoch, version, lock_count, search, date_joined
				FROM users WHERE username = 'first'`, name, name, name+"@example.com", name+"@example.com")
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Kinds of users. A login ends the oldest sessions of its user, so the users that log in
// continuously own none of the measured sessions.
const (
	loginUser   = "login"
	sessionUser = "session"
)

func userName(kind string, i int) string { return fmt.Sprintf("%s%d", kind, i%users) }

func (p *prepared) timeToReady(ctx context.Context) (time.Duration, error) {
	var took []time.Duration
	for range starts {
		server, err := p.startProduct(ctx)
		if err != nil {
			return 0, err
		}
		took = append(took, server.ReadyAfter)
		if err := server.Stop(); err != nil {
			return 0, err
		}
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// start starts the two servers.
func (p *prepared) start(ctx context.Context) (err error) {
	if p.product, err = p.startProduct(ctx); err != nil {
		return err
	}
	bare := harness.Program{Path: p.self, Args: []string{"-bare", p.bareAddr}, Env: p.bareEnv, Addr: p.bareAddr, Log: os.Stderr}
	p.bare, err = harness.Start(ctx, bare)
	return err
}

func (p *prepared) startProduct(ctx context.Context) (*harness.Process, error) {
	return harness.Start(ctx, harness.Program{Path: p.binary, Args: []string{"serve"}, Env: p.productEnv, Addr: p.productAddr, Log: p.log})
}

// environment describes the environment of the measurements.
func (p *prepared) environment(ctx context.Context) string {
	var version string
	var durable int
	err := p.db.QueryRowContext(ctx, "SELECT VERSION(), @@innodb_flush_log_at_trx_commit").Scan(&version, &durable)
	if err != nil {
		return err.Error() + "\n"
	}
	load, _ := os.ReadFile("/proc/loadavg")
	text := fmt.Sprintf("%s, %d cores, load average %.14s; %s, innodb_flush_log_at_trx_commit=%d\n",
		runtime.Version(), runtime.NumCPU(), load, version, durable)
	if durable != 1 {
		text += "NOT DURABLE: refresh and login are faster than in production\n"
	}
	return text
}

func (p *prepared) close() error {
	var errs []error
	for _, server := range []*harness.Process{p.product, p.bare} {
		if server != nil {
			errs = append(errs, server.Stop())
		}
	}
	if p.db != nil {
		errs = append(errs, p.db.Close())
	}
	if p.admin != nil {
		_, err := p.admin.ExecContext(context.Background(), "DROP DATABASE IF EXISTS "+p.name)
		errs = append(errs, err, p.admin.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(p.dir))...)
}
