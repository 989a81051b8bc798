package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

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
	db       *gorm.DB // for writes, and on MySQL also for reads
	reads    *gorm.DB
	pool     *sql.DB // the connections of db
	readPool *sql.DB // the connections of reads
	mysql    bool
	conns    int // maximum number of connections for writes
	hot      *hotStatements
	share    *writeShares
	actor    *Actor // the session that guards every transaction; nil for the server's own writes
	now      func() time.Time
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
	return errors.Join(s.pool.Close(), s.readPool.Close())
}

// Ping checks that the database answers.
func (s *Store) Ping(ctx context.Context) error { return translate(s.pool.PingContext(ctx)) }

// Clock returns the database's time, in UTC with microseconds. On SQLite, which runs in this
// process, ok is false.
func (s *Store) Clock(ctx context.Context) (now time.Time, ok bool, err error) {
	if !s.mysql {
		return time.Time{}, false, nil
	}
	err = s.pool.QueryRowContext(ctx, "SELECT UTC_TIMESTAMP(6)").Scan(&now)
	return now, true, translate(err)
}

// Stats returns the statistics of the pool for writes, for metrics.
func (s *Store) Stats() sql.DBStats { return s.pool.Stats() }

// clock returns the current time in the precision of the database.
func clock() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// newStore returns the store over a pool for writes and one for reads, which may be the same, if the
// database answers. It closes the pools otherwise.
func newStore(ctx context.Context, o Options, writes, reads *gorm.DB) (*Store, error) {
	s := &Store{db: writes, reads: reads, mysql: o.MySQL != nil, conns: 1, hot: &hotStatements{}, share: newWriteShares(o.MaxConns), now: clock}
	if s.mysql {
		s.conns = o.MaxConns
	}
	var errs [2]error
	s.pool, errs[0] = writes.DB()
	s.readPool, errs[1] = reads.DB()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open opens a pool for GORM. It closes the pool if that fails.
func open(pool *sql.DB, dialector gorm.Dialector, conns int) (*gorm.DB, error) {
	pool.SetMaxOpenConns(max(1, conns))
	pool.SetMaxIdleConns(max(1, conns)) // with the default of 2, connections are opened and closed constantly
	pool.SetConnMaxLifetime(5 * time.Minute)
	db, err := gorm.Open(dialector, &gorm.Config{
		SkipDefaultTransaction:   true,
		TranslateError:           true,
		DisableNestedTransaction: true,
		DisableAutomaticPing:     true,
		Logger:                   logger.Discard, // statements contain personal data; errors are logged where they are handled
		NowFunc:                  clock,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("models: %w", translate(err)), pool.Close())
	}
	return db, nil
}

const (
	maxTries    = 5
	sqliteTries = 20 // three seconds on average
)

// retry calls f again after ErrTransient, at most maxTries times in all. It translates the error of f.
func retry(ctx context.Context, f func() error) error {
	return Retry(ctx, maxTries, Is(ErrTransient), func() error { return translate(f()) })
}
