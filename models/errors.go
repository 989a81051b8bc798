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
	// ErrNotFound: no row matches.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a unique value (username, e-mail) is taken.
	ErrConflict = errors.New("already taken")
	// ErrTransient: the statement lost against another one (deadlock, lock wait, certification). Nothing was
	// written; the same call may be made again.
	ErrTransient = errors.New("conflict with a concurrent write")
	// ErrUnavailable: the database cannot be asked now. Whether a write in flight was applied is unknown.
	ErrUnavailable = errors.New("database unavailable")
	// ErrClock: this machine's clock and the database's are too far apart for a guarded write. Nothing was written.
	ErrClock = errors.New("clock differs from the database's")
	// ErrSchema: the schema is older than this program needs.
	ErrSchema = errors.New("database schema is not current")
	// errRefused: the database answers, but not with what was asked: a fault of this program or of its set-up.
	errRefused = errors.New("the database refused the statement")
)

// storeError shows only the sentinel in its message; the cause is for the log, through errors.Unwrap.
type storeError struct{ kind, cause error }

func (e *storeError) Error() string   { return "models: " + e.kind.Error() }
func (e *storeError) Unwrap() []error { return []error{e.kind, e.cause} }

// Cause is what the driver said, for a log line and never for a client. MySQL repeats values of the statement, such as
// an address that is there twice, in quotes; they are left out.
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
	mysqlQuoted = regexp.MustCompile(`(?s)'.*'`) // to the last quote: a value may hold some
	// Refused users, unknown databases, columns and tables.
	mysqlQuotesNames = map[uint16]bool{1044: true, 1045: true, 1049: true, 1054: true, 1142: true, 1143: true, 1146: true}
)

// MySQL error numbers by what they mean for a caller. 1047 and 1180 are Galera's (no quorum, certification at
// commit); 1290 and 1836 a server that turned read-only in a fail-over; 1021 and 1114 a full disk.
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

// translate is the single translation of driver errors.
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
	case connectionLost(err):
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

// isNoTable: the database answers and has no such table. SQLite has no code of its own for that.
func isNoTable(err error) bool {
	var my *mysql.MySQLError
	var lite *sqlite.Error
	return errors.As(err, &my) && my.Number == 1146 || errors.As(err, &lite) && strings.Contains(lite.Error(), "no such table")
}

func connectionLost(err error) bool {
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, sql.ErrTxDone) || // rolled back by database/sql when its context ended
		errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &network) ||
		err.Error() == "sql: database is closed"
}
