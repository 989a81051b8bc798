package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
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

// Options select the database. Either SQLite is the path of a file, or MySQL is set.
type Options struct {
	SQLite   string
	MySQL    *MySQL
	MaxConns int // maximum number of connections, at least 1
	Log      *slog.Logger
}

// MySQL describes a MySQL or MariaDB server. TLS is a value of the driver: true, skip-verify,
// preferred or false.
type MySQL struct {
	Addr, User, Password, Name, TLS string
}

// Store is an open database.
type Store struct {
	db    *gorm.DB // for writes, and on MySQL also for reads
	reads *gorm.DB
	mysql bool
	conns int // maximum number of connections for writes
	hot   *hotStatements
	share *writeShares
	actor *Actor // the session that guards every transaction; nil for the server's own writes
	now   func() time.Time
}

const (
	connectTimeout = 2 * time.Second
	// packetTimeout bounds one packet of the driver. The deadlines of contexts are shorter and take
	// effect first.
	packetTimeout = 30 * time.Second
)

// Open opens the database and checks that it answers. It changes no data; see [Store.Migrate].
// Errors: ErrUnavailable if the database cannot be reached.
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

// Ping checks that the database answers.
func (s *Store) Ping(ctx context.Context) error {
	pool, err := s.db.DB()
	if err != nil {
		return err
	}
	return translate(pool.PingContext(ctx))
}

// Clock returns the database's time, in UTC with microseconds. On SQLite, which runs in this
// process, ok is false.
func (s *Store) Clock(ctx context.Context) (now time.Time, ok bool, err error) {
	if !s.mysql {
		return time.Time{}, false, nil
	}
	err = s.pool().QueryRowContext(ctx, "SELECT UTC_TIMESTAMP(6)").Scan(&now)
	return now, true, translate(err)
}

// Stats returns the statistics of the pool for writes, for metrics.
func (s *Store) Stats() sql.DBStats { return s.pool().Stats() }

func (s *Store) pool() *sql.DB {
	pool, err := s.db.DB()
	if err != nil { // impossible: every Store is opened over a *sql.DB
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

// openSQLite opens one connection for writes and a pool for reads. With several writers SQLite
// returns "database is locked"; with one, writes queue. WAL lets readers continue during a write.
// With synchronous=FULL, a committed transaction is on disk. secure_delete overwrites deleted data
// with zeros: without it, the address and password hash of a deleted user stay in free pages of the
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
	s := &Store{db: writer, reads: reads, conns: 1, hot: &hotStatements{}, share: newWriteShares(o.MaxConns), now: clock}
	return s.reached(ctx)
}

// ownFile creates the database's file with access for its owner only; SQLite creates the -wal and
// -shm files with the same mode. It rejects files that every user of the machine can access, such
// as a backup that was restored with another mode, because they contain password hashes.
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

// openSQLitePool opens a pool with its first connection. Enabling WAL requires exclusive access to
// the file, and SQLite does not wait for it. If several processes start on a new file, all but one
// get "database is locked", so openSQLitePool retries.
func openSQLitePool(ctx context.Context, dsn string, conns int) (*gorm.DB, error) {
	var db *gorm.DB
	err := Retry(ctx, sqliteTries, isSQLiteBusy, func() (err error) {
		db, err = open(gormsqlite.Dialector{Conn: sql.OpenDB(sqliteConnector{dsn})}, conns)
		return err
	})
	return db, err
}

func isSQLiteBusy(err error) bool {
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == sqliteBusy
}

// reached returns the store if the database answers, and closes it otherwise.
func (s *Store) reached(ctx context.Context) (*Store, error) {
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// sqlitePath escapes the characters that have a special meaning in an SQLite URI.
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
	c.InterpolateParams = true // one round trip per statement
	c.RejectReadOnly = true    // after a failover, close the connection to the old primary
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
		Conn: sql.OpenDB(mysqlConnector{connector}), SkipInitializeWithVersion: true, DisableWithReturning: true,
	}), o.MaxConns)
	if err != nil {
		return nil, err
	}
	s := &Store{
		db: db, reads: db, mysql: true, conns: o.MaxConns, hot: &hotStatements{}, share: newWriteShares(o.MaxConns), now: clock,
	}
	return s.reached(ctx)
}

// sessionVariables returns the variables that every connection must set: UTC, strict mode, READ
// COMMITTED and, on Galera, causal reads, because a stale read would accept a session that another
// node has revoked. It reads from the server which of the variables exist there. The driver rejects
// a connection on which one of them cannot be set.
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
		// Bounds the wait for a lock, so that a statement is not applied long after its caller has
		// received an error.
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

// clock returns the current time in the precision of the database.
func clock() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func open(dialector gorm.Dialector, conns int) (*gorm.DB, error) {
	db, err := gorm.Open(dialector, &gorm.Config{
		SkipDefaultTransaction:   true,
		TranslateError:           true,
		DisableNestedTransaction: true,
		DisableAutomaticPing:     true,
		Logger:                   logger.Discard, // statements contain personal data; errors are logged where they are handled
		NowFunc:                  clock,
	})
	if err != nil {
		return nil, fmt.Errorf("models: %w", translate(err))
	}
	pool, err := db.DB()
	if err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	pool.SetMaxOpenConns(max(1, conns))
	pool.SetMaxIdleConns(max(1, conns)) // with the default of 2, connections are opened and closed constantly
	pool.SetConnMaxLifetime(5 * time.Minute)
	return db, nil
}

// driverLog writes the driver's own log lines ("unexpected EOF", "closing bad idle connection") at
// debug level, because relevant failures are also returned as errors.
type driverLog struct{ log *slog.Logger }

func (d driverLog) Print(v ...any) { d.log.Debug("mysql driver", "message", fmt.Sprint(v...)) }

const (
	maxTries    = 5
	sqliteTries = 20 // three seconds on average
)

// tx runs f in a transaction. It retries after a conflict with another transaction, also if COMMIT
// reports the conflict. ErrUnavailable at COMMIT leaves the outcome unknown.
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

// retry calls f again after ErrTransient, at most maxTries times in all. It translates the error of f.
func retry(ctx context.Context, f func() error) error {
	return Retry(ctx, maxTries, Is(ErrTransient), func() error { return translate(f()) })
}
