package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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

// MySQL describes a MySQL or MariaDB server. Addr is host:port, or the absolute path of a Unix socket.
// TLS is a value of the driver: true, skip-verify, preferred or false.
type MySQL struct {
	Addr, User, Password, Name, TLS string
}

// Network returns the network of Addr: unix or tcp.
func (m MySQL) Network() string {
	if strings.HasPrefix(m.Addr, "/") {
		return "unix"
	}
	return "tcp"
}

// Store is an open database. It has one part for each table and one for the schema; their methods
// are queries, and single statements that need no transaction. All other writes are in a [Tx].
type Store struct {
	*database
	userQueries
	sessionQueries
	tokenQueries
	eventQueries
	mailQueue
	rateLimitCounts
	migrator
}

// newStore returns the store of the parts that share d.
func newStore(d *database) *Store {
	return &Store{d, userQueries{d}, sessionQueries{d}, tokenQueries{d}, eventQueries{d}, mailQueue{d}, rateLimitCounts{d}, migrator{d}}
}

// database is what the parts of a [Store] share.
type database struct {
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
func (s *database) Close() error {
	s.hot.close()
	return errors.Join(s.pool.Close(), s.readPool.Close())
}

// Ping checks that the database answers.
func (s *database) Ping(ctx context.Context) error { return translate(s.pool.PingContext(ctx)) }

// Clock returns the database's time, in UTC with microseconds. On SQLite, which runs in this
// process, ok is false.
func (s *database) Clock(ctx context.Context) (now time.Time, ok bool, err error) {
	if !s.mysql {
		return time.Time{}, false, nil
	}
	err = s.db.WithContext(ctx).Raw("SELECT UTC_TIMESTAMP(6)").Row().Scan(&now)
	return now, true, translate(err)
}

// Stats returns the statistics of the pool for writes, for metrics.
func (s *database) Stats() sql.DBStats { return s.pool.Stats() }

// clock returns the current time in the precision of the database.
func clock() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// connect returns the store over a pool for writes and one for reads, which may be the same, if the
// database answers. It closes the pools otherwise.
func connect(ctx context.Context, o Options, writes, reads *gorm.DB) (*Store, error) {
	d := &database{db: writes, reads: reads, mysql: o.MySQL != nil, conns: 1, hot: &hotStatements{}, share: newWriteShares(o.MaxConns), now: clock}
	if d.mysql {
		d.conns = o.MaxConns
	}
	var errs [2]error
	d.pool, errs[0] = writes.DB()
	d.readPool, errs[1] = reads.DB()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("models: %w", err)
	}
	if err := d.Ping(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return newStore(d), nil
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

// retry calls f again after ErrTransient, at most maxTries times in all. It translates the error of
// f.
func retry(ctx context.Context, f func() error) error {
	return Retry(ctx, maxTries, Is(ErrTransient), func() error { return translate(f()) })
}
