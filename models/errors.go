package models

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"syscall"

	sqlite "github.com/glebarez/go-sqlite"
	"github.com/go-sql-driver/mysql"
	"gorm.io/gorm"
)

var (
	// ErrNotFound means that no row matches.
	ErrNotFound = errors.New("not found")
	// ErrConflict means that a unique value, such as a username or an address, is taken.
	ErrConflict = errors.New("already taken")
	// ErrTransient means that the statement conflicted with another one (deadlock, lock wait,
	// certification). Nothing was written; the call can be repeated.
	ErrTransient = errors.New("conflict with a concurrent write")
	// ErrUnavailable means that the database cannot be used now. Whether a write in progress was
	// applied is unknown.
	ErrUnavailable = errors.New("database unavailable")
	// ErrClock means that the clocks of this machine and the database differ too much for a guarded
	// write. Nothing was written.
	ErrClock = errors.New("clock differs from the database's")
	// ErrSchema means that the schema is older than this program needs.
	ErrSchema = errors.New("database schema is not current")
	// errRefused means that the database rejected the statement because of a fault in this program
	// or in its configuration.
	errRefused = errors.New("the database refused the statement")
)

// storeError is an error of the driver with the sentinel that it was translated to. Its message has
// only the sentinel. The cause is available for the log through [Cause].
type storeError struct{ kind, cause error }

func (e *storeError) Error() string   { return "models: " + e.kind.Error() }
func (e *storeError) Unwrap() []error { return []error{e.kind, e.cause} }

// Cause returns the driver's error, for log lines and never for clients. MySQL quotes values of the
// statement in its messages, such as a duplicate address; Cause removes them.
func Cause(err error) error {
	var e *storeError
	if !errors.As(err, &e) {
		return err
	}
	var my *mysql.MySQLError
	if errors.As(e.cause, &my) && !mysqlQuotesNames[my.Number] {
		if message := mysqlQuoted.ReplaceAllString(my.Message, "'…'"); message != my.Message {
			return &mysql.MySQLError{Number: my.Number, SQLState: my.SQLState, Message: message}
		}
	}
	return e.cause
}

var (
	mysqlQuoted = regexp.MustCompile(`(?s)'.*'`) // up to the last quote, because a value may contain quotes
	// The messages of these errors quote only names: of rejected users, unknown databases, columns
	// and tables.
	mysqlQuotesNames = map[uint16]bool{1044: true, 1045: true, 1049: true, 1054: true, 1142: true, 1143: true, 1146: true}
)

// MySQL error numbers by their meaning for a caller. 1047 and 1180 are Galera's: no quorum, and a
// certification failure at COMMIT. 1290 and 1836 mean that a server became read-only in a failover.
// 1021 and 1114 mean that a disk is full.
var (
	mysqlTransient   = map[uint16]bool{1213: true, 1205: true, 1020: true, 1180: true}
	mysqlUnavailable = map[uint16]bool{
		1040: true, 1042: true, 1045: true, 1047: true, 1053: true, 1130: true, 1969: true, 1077: true, 1129: true, 1152: true, 1158: true, 1159: true,
		1160: true, 1161: true, 1021: true, 1030: true, 1114: true, 1203: true, 1226: true, 1290: true, 1317: true,
		1836: true, 1927: true, 3024: true, 3169: true, 4031: true,
	}
)

// SQLite primary result codes.
const (
	sqliteBusy = 5
	sqliteLock = 6
	sqliteStop = 9 // interrupted: the caller's context ended
	sqliteRO   = 8
	sqliteIO   = 10
	sqliteFull = 13
	sqliteOpen = 14
)

// translate turns a driver's error into one of the sentinels. All driver errors are translated
// here.
func translate(err error) error {
	if err == nil {
		return nil
	}
	var known *storeError
	if errors.As(err, &known) {
		return err
	}
	if kind := kindOf(err); kind != nil {
		return &storeError{kind: kind, cause: err}
	}
	return err
}

func kindOf(err error) error {
	var my *mysql.MySQLError
	var lite *sqlite.Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound), errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case errors.Is(err, gorm.ErrDuplicatedKey):
		return ErrConflict
	case errors.As(err, &my):
		return kindOfMySQL(my.Number)
	case errors.As(err, &lite):
		return kindOfSQLite(lite.Code())
	case isConnectionLost(err):
		return ErrUnavailable
	}
	return nil
}

func kindOfMySQL(number uint16) error {
	switch {
	case number == 1062:
		return ErrConflict
	case mysqlTransient[number]:
		return ErrTransient
	case mysqlUnavailable[number]:
		return ErrUnavailable
	}
	return errRefused
}

func kindOfSQLite(code int) error {
	switch code {
	case 2067, 1555: // SQLITE_CONSTRAINT_UNIQUE, SQLITE_CONSTRAINT_PRIMARYKEY
		return ErrConflict
	}
	switch code & 0xff {
	case sqliteBusy, sqliteLock, sqliteStop, sqliteRO, sqliteIO, sqliteFull, sqliteOpen:
		return ErrUnavailable
	}
	return errRefused
}

// isNoTable reports whether the database answered that a table does not exist. SQLite has no error
// code for that.
func isNoTable(err error) bool {
	var my *mysql.MySQLError
	var lite *sqlite.Error
	return errors.As(err, &my) && my.Number == 1146 || errors.As(err, &lite) && strings.Contains(lite.Error(), "no such table")
}

func isConnectionLost(err error) bool {
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, sql.ErrTxDone) || // database/sql rolled back when the context ended
		errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &network) ||
		err.Error() == "sql: database is closed"
}
