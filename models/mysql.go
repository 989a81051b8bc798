package models

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-sql-driver/mysql"
	gormmysql "gorm.io/driver/mysql"
)

func openMySQL(ctx context.Context, o Options) (*Store, error) {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr, c.DBName, c.TLSConfig = o.MySQL.User, o.MySQL.Password, o.MySQL.Network(), o.MySQL.Addr, o.MySQL.Name, o.MySQL.TLS
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
	pool := sql.OpenDB(mysqlConnector{connector})
	db, err := open(pool, gormmysql.New(gormmysql.Config{Conn: pool, SkipInitializeWithVersion: true, DisableWithReturning: true}), o.MaxConns)
	if err != nil {
		return nil, err
	}
	return connect(ctx, o, db, db)
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

// driverLog writes the driver's own log lines ("unexpected EOF", "closing bad idle connection") at
// debug level, because relevant failures are also returned as errors.
type driverLog struct{ log *slog.Logger }

func (d driverLog) Print(v ...any) { d.log.Debug("mysql driver", "message", fmt.Sprint(v...)) }

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
