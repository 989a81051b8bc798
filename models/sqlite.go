package models

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	sqlite "github.com/glebarez/go-sqlite"
	gormsqlite "github.com/glebarez/sqlite"
	"gorm.io/gorm"
)

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
	return connect(ctx, o, writer, reads)
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
		pool := sql.OpenDB(sqliteConnector{dsn})
		db, err = open(pool, gormsqlite.Dialector{Conn: pool}, conns)
		return err
	})
	return db, err
}

func isSQLiteBusy(err error) bool {
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == sqliteBusy
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

// sqliteConnector makes connections to an SQLite database.
type sqliteConnector struct{ dsn string }

// Driver returns the driver of SQLite.
func (c sqliteConnector) Driver() driver.Driver { return &sqlite.Driver{} }

// Connect opens a connection.
func (c sqliteConnector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.Driver().Open(c.dsn)
	if err != nil {
		return nil, err
	}
	able, ok := conn.(sqlConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%w: %T", errDriver, conn), conn.Close())
	}
	return sqliteConn{able}, nil
}

type sqliteConn struct{ sqlConn }

// CheckNamedValue converts ids. The statements of this driver have no method of this name, so it
// serves prepared statements too.
func (sqliteConn) CheckNamedValue(v *driver.NamedValue) error { return idToBytes(v) }
