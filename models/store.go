package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	sqlite "github.com/glebarez/go-sqlite"
	gormsqlite "github.com/glebarez/sqlite"
	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Options say where the rows are: SQLite is the path of a file, or MySQL is set.
type Options struct {
	SQLite   string
	MySQL    *MySQL
	MaxConns int // upper bound of connections, at least 1
	Log      *slog.Logger
}

// MySQL is a MySQL or MariaDB server. TLS is the driver's word: true, skip-verify, preferred or false.
type MySQL struct {
	Addr, User, Password, Name, TLS string
}

// Store is an open database.
type Store struct {
	db    *gorm.DB // writes, and on MySQL reads too
	reads *gorm.DB
	mysql bool
	conns int // bound on connections for writing
	hot   *hotStatements
	share *writeShares
	actor *Actor // the session that guards every transaction; nil for the server's own writes
}

const (
	connectTimeout = 2 * time.Second
	// The driver's own bounds on one packet; the deadlines of contexts are shorter and come first.
	packetTimeout = 30 * time.Second
)

// Open opens the database and checks that it can be worked with. It changes nothing; see Migrate.
// ErrUnavailable means that it could not be reached.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.MySQL != nil {
		return openMySQL(ctx, o)
	}
	return openSQLite(ctx, o)
}

// Close closes every connection.
func (s *Store) Close() error {
	s.hot.close()
	var errs []error
	for _, db := range []*gorm.DB{s.db, s.reads} {
		if pool, err := db.DB(); err == nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}

// Ping asks the database for a sign of life.
func (s *Store) Ping(ctx context.Context) error {
	pool, err := s.db.DB()
	if err != nil {
		return err
	}
	return translate(pool.PingContext(ctx))
}

// Clock is the database's clock, in UTC with microseconds; on SQLite, which lives in this process, ok is false.
func (s *Store) Clock(ctx context.Context) (now time.Time, ok bool, err error) {
	if !s.mysql {
		return time.Time{}, false, nil
	}
	err = s.pool().QueryRowContext(ctx, "SELECT UTC_TIMESTAMP(6)").Scan(&now)
	return now, true, translate(err)
}

// Stats are the write pool's figures, for metrics.
func (s *Store) Stats() sql.DBStats { return s.pool().Stats() }

func (s *Store) pool() *sql.DB {
	pool, err := s.db.DB()
	if err != nil { // cannot be: every Store is opened over a *sql.DB
		panic(err)
	}
	return pool
}

func (s *Store) readPool() *sql.DB {
	pool, err := s.reads.DB()
	if err != nil {
		panic(err)
	}
	return pool
}

// openSQLite opens one writing connection and a pool of readers. With several writers SQLite
// answers "database is locked"; with one, writes queue. WAL lets readers continue at the same time.
// synchronous=FULL means that what was acknowledged is on disk. secure_delete overwrites deleted
// data with zeros: without it an erased user's address and password hash stay in free pages of the
// file, and in every copy of it.
func openSQLite(ctx context.Context, o Options) (*Store, error) {
	if err := ownFile(o.SQLite); err != nil {
		return nil, err
	}
	dsn := "file:" + sqlitePath(o.SQLite) + "?_pragma=busy_timeout(1000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=secure_delete(1)"
	writer, err := openSQLitePool(ctx, dsn+"&_txlock=immediate", 1)
	if err != nil {
		return nil, err
	}
	reads, err := openSQLitePool(ctx, dsn+"&_pragma=query_only(1)", max(2, o.MaxConns))
	if err != nil {
		return nil, err
	}
	s := &Store{db: writer, reads: reads, conns: 1, hot: &hotStatements{}, share: newWriteShares(o.MaxConns)}
	return s.reached(ctx)
}

// ownFile creates the database's file with access for its owner alone; SQLite gives -wal and -shm
// the same mode. It rejects files that every user of the machine can read, such as a backup that
// was restored with another mode, because they contain password hashes.
func ownFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("models: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the path is the operator's
	if err != nil {
		return fmt.Errorf("models: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("models: %w", err)
	}
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("models: %w", err)
		case info.Mode().Perm()&0o007 != 0:
			return fmt.Errorf("the file %s can be read by others: chmod 600 it", name)
		}
	}
	return nil
}

// openSQLitePool opens a pool with its first connection. Turning WAL on needs the file for oneself, and SQLite does not
// wait for that: of several processes that start on a new file all but one hear that it is locked, and try again.
func openSQLitePool(ctx context.Context, dsn string, conns int) (*gorm.DB, error) {
	const tries, wait = 100, 20 * time.Millisecond
	for try := 1; ; try++ {
		db, err := open(gormsqlite.Open(dsn), conns)
		var lite *sqlite.Error
		if try == tries || !errors.As(err, &lite) || lite.Code()&0xff != sqliteBusy {
			return db, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

// reached answers with the store if the database does; otherwise nothing stays open.
func (s *Store) reached(ctx context.Context) (*Store, error) {
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// sqlitePath escapes what has a meaning in an SQLite URI.
func sqlitePath(path string) string {
	escaped := make([]byte, 0, len(path))
	for i := range len(path) {
		switch c := path[i]; c {
		case '%', '?', '#':
			escaped = append(escaped, fmt.Sprintf("%%%02X", c)...)
		default:
			escaped = append(escaped, c)
		}
	}
	return string(escaped)
}

func openMySQL(ctx context.Context, o Options) (*Store, error) {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName, c.TLSConfig = o.MySQL.User, o.MySQL.Password, "tcp", o.MySQL.Addr, o.MySQL.Name, o.MySQL.TLS
	c.ParseTime, c.Loc = true, time.UTC
	c.ClientFoundRows = true   // RowsAffected counts matched rows, as SQLite does
	c.InterpolateParams = true // one round trip a statement
	c.RejectReadOnly = true    // after a fail-over, drop the connection to the old primary
	c.Timeout, c.ReadTimeout, c.WriteTimeout = connectTimeout, packetTimeout, packetTimeout
	c.Logger = driverLog{o.Log}
	if err := c.Apply(mysql.Charset("utf8mb4", "utf8mb4_bin"), mysql.TimeTruncate(time.Microsecond)); err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	params, err := sessionVariables(ctx, c)
	if err != nil {
		return nil, err
	}
	c.Params = params
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	db, err := open(gormmysql.New(gormmysql.Config{
		Conn: sql.OpenDB(boundedCommits{connector}), SkipInitializeWithVersion: true, DisableWithReturning: true,
	}), o.MaxConns)
	if err != nil {
		return nil, err
	}
	s := &Store{
		db: db, reads: db, mysql: true, conns: o.MaxConns, hot: &hotStatements{}, share: newWriteShares(o.MaxConns),
	}
	return s.reached(ctx)
}

// sessionVariables asks the server which of the variables it has and says what every connection must set: UTC, strict
// mode, READ COMMITTED and, on Galera, causal reads (a stale read would honour what another node has revoked). A
// connection on which one cannot be set is refused by the driver.
func sessionVariables(ctx context.Context, c *mysql.Config) (map[string]string, error) {
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(ctx, "SHOW VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation', 'wsrep_sync_wait')")
	if err != nil {
		return nil, translate(err)
	}
	defer func() { _ = rows.Close() }()
	params := map[string]string{
		"time_zone": "'+00:00'",
		// A statement whose caller has long been answered must not wait for a lock and then be applied.
		"innodb_lock_wait_timeout": "2",
		"sql_mode":                 "'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY,NO_ZERO_DATE,NO_ZERO_IN_DATE'",
	}
	isolation := false
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, translate(err)
		}
		switch name {
		case "wsrep_sync_wait":
			params[name] = "7"
		default:
			params[name], isolation = "'READ-COMMITTED'", true
		}
	}
	if err := rows.Err(); err != nil {
		return nil, translate(err)
	}
	if !isolation {
		return nil, errors.New("models: the server has no variable for the isolation level")
	}
	return params, nil
}

func open(dialector gorm.Dialector, conns int) (*gorm.DB, error) {
	db, err := gorm.Open(dialector, &gorm.Config{
		SkipDefaultTransaction:   true,
		TranslateError:           true,
		DisableNestedTransaction: true,
		DisableAutomaticPing:     true,
		Logger:                   logger.Discard, // statements hold personal data; errors are logged by who handles them
		NowFunc:                  func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) },
	})
	if err != nil {
		return nil, fmt.Errorf("models: %w", translate(err))
	}
	pool, err := db.DB()
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	pool.SetMaxOpenConns(max(1, conns))
	pool.SetMaxIdleConns(max(1, conns)) // the default of 2 makes and drops connections all the time
	pool.SetConnMaxLifetime(5 * time.Minute)
	return db, nil
}

// driverLog takes the driver's own lines ("unexpected EOF", "closing bad idle connection") at debug level: what
// matters of them comes back as an error.
type driverLog struct{ log *slog.Logger }

func (d driverLog) Print(v ...any) { d.log.Debug("mysql driver", "message", fmt.Sprint(v...)) }

const maxTries = 5

// tx runs f in a transaction, and repeats it after a conflict with another one, also if COMMIT
// reports the conflict. An error other than ErrTransient at COMMIT leaves the outcome unknown:
// ErrUnavailable.
//
// The transaction begins with the guard of the store's actor; see As.
func (s *Store) tx(ctx context.Context, f func(tx *gorm.DB) error) error {
	leave, err := s.share.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return retry(ctx, func() error {
		return s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			if err := s.actor.guard(tx); err != nil {
				return err
			}
			return f(tx)
		})
	})
}

// retry makes the call again after ErrTransient, with a growing random pause.
func retry(ctx context.Context, call func() error) error {
	for try := 1; ; try++ {
		err := translate(call())
		if err == nil || !errors.Is(err, ErrTransient) || try == maxTries {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(try) * time.Duration(1+rand.IntN(10)) * time.Millisecond): //nolint:gosec // spreads retries, hides nothing
		}
	}
}
