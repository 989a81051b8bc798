package models

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	sqlite "github.com/glebarez/go-sqlite"
	"github.com/google/uuid"
)

// The connections of both drivers are wrapped, so that they store a uuid.UUID as 16 bytes. The
// Value method of uuid.UUID returns text.

var errDriver = errors.New("models: the database driver does not have all the methods that this program needs")

// idToBytes replaces the value by its 16 bytes if it is a uuid.UUID, or by NULL if it is a nil
// pointer to one. It returns driver.ErrSkip for other values.
func idToBytes(v *driver.NamedValue) error {
	switch id := v.Value.(type) {
	case uuid.UUID:
		v.Value = id[:]
	case *uuid.UUID:
		if id == nil {
			v.Value = nil
			break
		}
		v.Value = id[:]
	default:
		return driver.ErrSkip
	}
	return nil
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

// sqlConn is the set of interfaces that the connections of both drivers implement.
type sqlConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.Pinger
	driver.QueryerContext
}

type sqliteConn struct{ sqlConn }

// CheckNamedValue converts ids. The statements of this driver have no method of this name, so it
// serves prepared statements too.
func (sqliteConn) CheckNamedValue(v *driver.NamedValue) error { return idToBytes(v) }

// mysqlConnector makes connections to a MySQL or MariaDB server whose COMMIT ends with the context
// of its transaction, like every other statement. database/sql passes no context to COMMIT. Without
// this, a server that does not answer, or a cluster that has lost a node, would block a request
// until the driver's own timeout.
type mysqlConnector struct{ driver.Connector }

// Connect opens a connection.
func (c mysqlConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	able, ok := conn.(sqlConn)
	checker, checks := conn.(driver.NamedValueChecker)
	resetter, resets := conn.(driver.SessionResetter)
	validator, validates := conn.(driver.Validator)
	if !ok || !checks || !resets || !validates {
		return nil, errors.Join(fmt.Errorf("%w: %T", errDriver, conn), conn.Close())
	}
	return mysqlConn{able, resetter, validator, checker}, nil
}

type mysqlConn struct {
	sqlConn
	driver.SessionResetter
	driver.Validator
	checker driver.NamedValueChecker
}

// CheckNamedValue converts ids, and leaves other values to the driver.
func (c mysqlConn) CheckNamedValue(v *driver.NamedValue) error { return checkMySQL(c.checker, v) }

func checkMySQL(checker driver.NamedValueChecker, v *driver.NamedValue) error {
	if err := idToBytes(v); !errors.Is(err, driver.ErrSkip) {
		return err
	}
	return checker.CheckNamedValue(v)
}

// BeginTx starts a transaction whose COMMIT is bounded.
func (c mysqlConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.sqlConn.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return mysqlTx{tx, func() error {
		_, err := c.ExecContext(ctx, "COMMIT", nil)
		return err
	}}, nil
}

type mysqlTx struct {
	driver.Tx
	commit func() error
}

func (t mysqlTx) Commit() error { return t.commit() }

// PrepareContext prepares a statement. The driver's statements check their values themselves.
func (c mysqlConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	stmt, err := c.sqlConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	execer, execs := stmt.(driver.StmtExecContext)
	queryer, queries := stmt.(driver.StmtQueryContext)
	checker, checks := stmt.(driver.NamedValueChecker)
	if !execs || !queries || !checks {
		return nil, errors.Join(fmt.Errorf("%w: %T", errDriver, stmt), stmt.Close())
	}
	return mysqlStmt{stmt, execer, queryer, checker}, nil
}

type mysqlStmt struct {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
	checker driver.NamedValueChecker
}

// CheckNamedValue converts ids, and leaves other values to the driver.
func (s mysqlStmt) CheckNamedValue(v *driver.NamedValue) error { return checkMySQL(s.checker, v) }
